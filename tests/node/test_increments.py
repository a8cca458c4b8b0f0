"""A model in increments over nodes of its own: the update comes while the UE infers."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from netem.spec import LinkSpec, Shape
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure import arriving
from orchestrator.results.kinds import TransitRecord
from orchestrator.results.records import ProofRecord
from orchestrator.results.run_folder import create
from orchestrator.testbed import testbed as beds
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.local import LocalModel
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.crossing import Crossing
from orchestrator.transit.increments.row import IncrementRow
from orchestrator.transit.increments.run import INCREMENTS, Sending, here, versions
from orchestrator.transit.journal import Journal
from splitbed.errors import NodeError
from tests.node.loopback import loopback_link, loopback_pair

PROOF = ProofRecord(uplink_mbit=50, downlink_mbit=50, rtt_min_ms=1)
LINK = LinkSpec(uplink=Shape(rate_mbit=50), downlink=Shape(rate_mbit=50))


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossing[IncrementRow]]:
    """What sends rows that were made here, over what nothing shapes."""
    folder = tmp_path_factory.mktemp("pair")
    with loopback_pair(folder) as (pair, model), pytest.MonkeyPatch.context() as patch:
        patch.setattr(arriving, "proved", lambda *_: [PROOF])  # takes seconds, and is not of this
        local = LocalModel(model, model.inputs, threads=1)
        config = sweep_config({"model": str(folder / "small.onnx"), "ue_threads": 1})
        scenario, run = AnchorScenario(local, config), create(folder / "run", "")
        journal = Journal.begun(run, INCREMENTS, TransitRecord(model=model.facts))
        for row in here(scenario, local, versions((4, 8, 16)), run, lambda _: None):
            journal.add_coder(row)
        bed = beds.Testbed(model, loopback_link(), pair, Interruption())
        yield Crossing(bed, scenario, journal)


def test_the_ue_has_at_each_step_the_model_that_was_made_where_it_was_encoded(
    crossing: Crossing[IncrementRow],
) -> None:
    Sending(crossing).over(LINK)
    over, before = crossing.journal.rows, crossing.journal.here.values()
    for row, made in zip(over, before, strict=True):
        assert "another model" not in row.fault
        assert row.ue_perf == made.rec_perf
        assert row.startup_ms is not None
        assert (row.model_peak_bytes or 0) > (row.model_bytes or 0)
    at_once, coarse, *updates = over
    assert at_once.inferences_meanwhile is coarse.inferences_meanwhile is None
    assert all(row.inferences_meanwhile is not None for row in updates)
    times = [row.since_request_ms or 0.0 for row in over[1:]]
    assert times == sorted(times)
    assert times[0] == coarse.startup_ms
    assert times[-1] == pytest.approx(sum(row.startup_ms or 0.0 for row in over[1:]))


def test_a_link_over_which_it_fails_costs_that_delivery_alone(
    crossing: Crossing[IncrementRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    row, *_ = crossing.journal.here.values()
    file = crossing.journal.folder.path / f"{row.coder_name.replace(':', '_')}.onnx"
    crossing.ready(row.coder_name, file)
    ways, pair = crossing._arriving, crossing._bed.pair
    bad, unlucky, good = (
        LinkSpec(uplink=Shape(rate_mbit=rate), downlink=LINK.downlink) for rate in (1, 2, 3)
    )
    over, ended = ways.over, iter(["it did not come back"])

    def arrives(link: LinkSpec, *others: object) -> object:
        if link == bad:
            raise NodeError("it died")
        return over(link, *others)  # type: ignore[arg-type]

    def restart() -> None:
        for why in ended:
            raise NodeError(why)

    monkeypatch.setattr(crossing, "_links", [bad, unlucky, good])
    monkeypatch.setattr(ways, "over", arrives)
    monkeypatch.setattr(pair, "restart", restart)
    crossing.run(row.coder_name, file, 1)
    of = crossing.journal.deliveries
    told = [of[row.coder_name, link.words, 0] for link in (bad, unlucky, good)]
    assert [one.error for one in told] == ["it died", "it did not come back", None]
    assert [one.ue_perf for one in told] == [None, None, row.rec_perf]


def test_what_follows_a_step_that_failed_is_not_sent(
    crossing: Crossing[IncrementRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, coarse, *updates = crossing.journal.here.values()
    broken = [at_once, replace(coarse, coder_name="update:8:16"), *updates]
    monkeypatch.setattr(crossing.journal, "here", {row.coder_name: row for row in broken})
    Sending(crossing).over(LINK, number=1)
    of = crossing.journal.deliveries
    _, step, *rest = [of[row.coder_name, LINK.words, 1] for row in broken]
    assert (step.error or "").startswith("the bitstream updates the state")
    assert [one.error for one in rest] == ["not sent, as update:8:16 failed"] * 2
