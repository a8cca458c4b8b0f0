"""A model in increments over nodes of its own: the update comes while the UE infers."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from netem.spec import LinkSpec, Shape
from orchestrator.ask.sweep_config import sweep_config
from orchestrator.results.run_folder import create
from orchestrator.testbed import testbed as beds
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.local import LocalModel
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.crossing import Crossing
from orchestrator.transit.incremental import Sending, here, versions
from orchestrator.transit.incremental_row import IncrementRow
from splitbed.errors import NodeError
from tests.node.loopback import loopback_link, loopback_pair

LINK = LinkSpec(uplink=Shape(rate_mbit=50), downlink=Shape(rate_mbit=50))


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Crossing, list[IncrementRow]]]:
    """What sends, and the rows without a link; whatever loopback's rate, which nothing shapes."""
    folder = tmp_path_factory.mktemp("pair")
    with loopback_pair(folder) as (pair, model):
        local = LocalModel(model, model.inputs, threads=1)
        config = sweep_config({"model": str(folder / "small.onnx"), "ue_threads": 1})
        scenario, run = AnchorScenario(local, config), create(folder / "run", "")
        bed = beds.Testbed(model, loopback_link(), pair, Interruption())
        rows = here(scenario, local, versions((4, 8, 16)), run, lambda _: None)
        yield Crossing(bed, scenario, run), list(rows)


def test_the_ue_has_at_each_step_the_model_that_was_made_where_it_was_encoded(
    sent: tuple[Crossing, list[IncrementRow]],
) -> None:
    crossing, rows = sent
    over = list(Sending(crossing).over(rows, LINK))
    for row, before in zip(over, rows, strict=True):
        assert "another model" not in row.fault
        assert row.ue_perf == before.rec_perf
        assert row.startup_ms is not None
    at_once, coarse, *updates = over
    assert at_once.inferences_meanwhile is coarse.inferences_meanwhile is None
    assert all(row.inferences_meanwhile is not None for row in updates)
    times = [row.since_request_ms or 0.0 for row in over[1:]]
    assert times == sorted(times)
    assert times[0] == coarse.startup_ms
    assert times[-1] == pytest.approx(sum(row.startup_ms or 0.0 for row in over[1:]))


def test_a_link_over_which_it_fails_costs_its_row_alone(
    sent: tuple[Crossing, list[IncrementRow]], monkeypatch: pytest.MonkeyPatch
) -> None:
    crossing, (row, *_) = sent
    crossing.ready(row.coder_name)
    arriving, pair = crossing._arriving, crossing._bed.pair
    bad, unlucky, good = (
        LinkSpec(uplink=Shape(rate_mbit=rate), downlink=LINK.downlink) for rate in (1, 2, 3)
    )
    over, ended = arriving.over, iter(["it did not come back"])

    def arrives(link: LinkSpec, *others: object) -> object:
        if link == bad:
            raise NodeError("it died")
        return over(link, *others)  # type: ignore[arg-type]

    def restart() -> None:
        for why in ended:
            raise NodeError(why)

    monkeypatch.setattr(crossing, "_links", [bad, unlucky, good])
    monkeypatch.setattr(arriving, "over", arrives)
    monkeypatch.setattr(pair, "restart", restart)
    file = crossing._folder.path / f"{row.coder_name.replace(':', '_')}.onnx"
    rows = list(crossing.run(row, file))
    assert [one.fault for one in rows[:2]] == ["it died", "it did not come back"]
    assert [one.ue_perf for one in rows] == [None, None, row.rec_perf]


def test_what_follows_a_step_that_failed_is_not_sent(
    sent: tuple[Crossing, list[IncrementRow]],
) -> None:
    crossing, rows = sent
    at_once, coarse, *updates = rows
    broken = [at_once, replace(coarse, coder_name="update:8:16"), *updates]
    over = list(Sending(crossing).over(broken, LINK))
    assert over[1].fault.startswith("the bitstream updates the state")
    assert [row.fault for row in over[2:]] == ["not sent, as update:8:16 failed"] * 2
    assert not any(row.valid for row in over[1:])
