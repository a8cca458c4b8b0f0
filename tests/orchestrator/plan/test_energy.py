"""Which configuration takes least of the UE's energy, and what is held against a limit."""

from pathlib import Path

import numpy as np
import pytest

from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.plan.energy import LeastEnergy, check_energy, least_energy
from orchestrator.plan.grid import grid
from orchestrator.plan.prediction import Plan, make_plan
from orchestrator.plan.show import _least_energy
from splitbed.errors import UsageError
from tests.orchestrator.plan.test_plan import predictor

IDLE_W, CPU_W, SENDING_W, RECEIVING_W = 0.5, 2.0, 3.0, 1.0


@pytest.fixture
def config(tmp_path: Path) -> SweepConfig:
    (file := tmp_path / "phone.yaml").write_text(
        "name: phone\ntitle: A phone\nsource: here\nslowdown: 2\npower: {idle_w: 0.5, cpu_w: 2,"
        " sending_w: 3, receiving_w: 1, source: here}\n"
    )
    return sweep_config({"model": "m.onnx", "power": f"ue={file}", "ue_threads": 2})


def chosen(config: SweepConfig, within_ms: float | None = None) -> tuple[Plan, LeastEnergy]:
    plan = make_plan(predictor(), grid("1,5,20,100", "0,5", "1,4"))
    found = least_energy(plan, config, within_ms)
    assert found is not None
    return plan, found


def test_energy_is_idle_and_what_the_ue_computes_sends_and_receives(config: SweepConfig) -> None:
    plan, found = chosen(config)
    slowdown, delay_ms, bw_mbit = plan.grid.points()
    for place, option in enumerate(plan.options):
        computes_ms = 2 * plan.work.parts_ms["ue"][place] + plan.work.others_ms["ue"][place]
        up, down = (plan.work.sent[hop][place] for hop in ("uplink", "downlink"))
        # headers are a few percent of what crosses
        up_ms, down_ms = (
            np.zeros_like(bw_mbit) if np.isnan(sent) else sent * 8e-3 / bw_mbit + delay_ms
            for sent in (up, down)
        )
        expected = IDLE_W * plan.e2e_ms[place] + CPU_W * computes_ms * slowdown
        expected += SENDING_W * up_ms + RECEIVING_W * down_ms
        assert found.mj[place] == pytest.approx(expected, rel=0.06), option.configuration.words


def test_of_those_that_are_fast_enough_none_takes_less(config: SweepConfig) -> None:
    plan, found = chosen(config, 120.0)
    held = np.where(plan.high_ms <= 120.0, found.mj, np.inf)
    none = ~np.isfinite(held).any(axis=0)
    assert none.any()
    assert not none.all()
    assert (found.best[none] == -1).all()
    points = np.flatnonzero(~none)
    assert held[found.best[points], points] == pytest.approx(held.min(axis=0)[points])


def test_a_limit_costs_energy_and_never_saves_it(config: SweepConfig) -> None:
    (_, free), (plan, within) = chosen(config), chosen(config, 120.0)
    least_mj = free.mj.min(axis=0)
    for point in range(plan.grid.size):
        line = within.line(plan, point)
        if line["least_energy_mj"] is not None:
            assert float(str(line["least_energy_mj"])) >= least_mj[point] - 1e-3
            assert float(str(line["least_energy_high_ms"])) <= 120.0


def test_who_reads_the_answer_reads_by_what_the_limit_is_judged(config: SweepConfig) -> None:
    plan, found = chosen(config, 120.0)
    assert "within 120 ms (the upper end of 90 % for the median, high_ms" in found.words
    held = [line for line in _least_energy(plan, found) if line["ms"]]
    assert held
    for line in held:
        most_ms = [float(one) for one in str(line["high ms"]).split(" to ")]
        assert max(most_ms) <= 120.0
        assert float(str(line["ms"]).split(" to ")[0]) < most_ms[0]


def test_without_a_model_nothing_is_chosen_by_energy() -> None:
    bare = sweep_config({"model": "m.onnx"})
    assert least_energy(make_plan(predictor(), grid("20", "0", "1")), bare, None) is None
    with pytest.raises(UsageError, match=r"--within-ms 200 .*--power ue=FILE"):
        check_energy(bare, 200.0)


def test_it_goes_by_threads_that_are_told(config: SweepConfig) -> None:
    with pytest.raises(UsageError, match="--ue-threads"):
        check_energy(config.replaced(ue_threads=0), None)
