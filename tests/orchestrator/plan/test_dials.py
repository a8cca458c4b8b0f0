"""The numbers of codecs in a plan, and in what a race is told."""

from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.measure.dials.finding import find_dials
from orchestrator.offline.curves import ladder
from orchestrator.plan.facts import take_facts
from orchestrator.plan.forecasts import forecasts
from orchestrator.results.profile import CutSizes, Profile
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.model import Known
from tests.orchestrator.plan.test_plan import node


def profile_of(local: LocalModel) -> Profile:
    graph = local.model.graph
    cuts = [CutSizes(k=cut.k, part1_bytes=0, intermediate_bytes=cut.nbytes) for cut in graph.cuts]
    layers = node((1.0,) * graph.n)
    return Profile(ue=layers, edge=layers, cuts=tuple(cuts), outline=True)


def asked(**options: object) -> SweepConfig:
    usual = {"model": "shapesnet", "split": "stage3", "accuracy_frames": 6, "bw": 5, "seed": 1}
    return sweep_config(usual | options)


def test_a_plan_holds_the_number_that_a_target_asks_for_beside_a_ladder() -> None:
    config = asked(codec="jpeg", input_codec="uint8", target_kbit=30)
    told: list[str] = []
    with local_model(config) as local:
        facts = take_facts(config, local, profile_of(local), told.append, judge=False)
        wanted = [option.configuration for option in facts.options]
        codecs = [one.codec for one in wanted if 0 < one.k < one.n]
        bare = [cell.configuration for cell in plan_cells(config, local.model)]
        (dial,) = find_dials(config, local.model, bare, lambda _: None).dials
    assert codecs == [*ladder("jpeg"), dial.found.codec]
    assert any("stage3" in line or "30 kbit" in line for line in told)
    found = next(one for one in facts.options if one.configuration.codec == dial.found.codec)
    assert 0.7 * 30e3 / 8 < found.sent_bytes < 1.3 * 30e3 / 8
    assert facts.answer(config)
    assert not facts.answer(config.replaced(target_kbit=31.0))


def test_a_race_is_told_of_a_codec_whose_number_is_left_open() -> None:
    config = asked(input_codec="avc", until_sure=True)
    with local_model(config) as local:
        cells = plan_cells(config, local.model)
        told = forecasts(config, local, lambda _: None, profile_of(local), cells, Known())
    assert told.keys() == {cell.configuration.key for cell in cells}
