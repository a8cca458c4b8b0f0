"""UE processes that share the work of one edge process, as a sweep asks it to."""

from itertools import pairwise

from orchestrator.results.statistics.sharing import shared
from tests.node.loopback import Splits
from tests.node.test_crowd import UES, Crowd, crowd

__all__ = ["crowd"]


def sharing(crowd: Crowd, **options: object) -> Crowd:
    """The same nodes, whose edge shares its work so."""
    pair, model = crowd.pair, crowd.splits.model
    return Crowd(Splits(pair, model, delivery=True, ues=len(UES), **options))


def test_frames_of_all_ues_are_run_together_and_the_row_says_on_how_many(crowd: Crowd) -> None:
    own = sharing(crowd, batch=f"max={len(UES)},wait=1s")
    own.load(cell := own.cell(2))
    assert own.splits.parts.batch_off is not None
    assert own.splits.parts.batch_off <= 1e-5
    taken = [*own.frames(cell, 4)]
    assert all((one.record.max_abs_diff or 0) <= 1e-5 for one in taken)
    assert max(one.together for one in shared([one.record for one in taken])) == len(UES)


def test_without_a_batch_a_worker_runs_one_frame_after_another(crowd: Crowd) -> None:
    own = sharing(crowd)
    own.load(cell := own.cell(2))
    assert own.splits.parts.batch_off is None
    taken = [*own.frames(cell, 4)]
    assert {one.together for one in shared([one.record for one in taken])} == {1}
    ran = sorted(
        (stage.start_ns, stage.end_ns)
        for one in taken
        for stage in one.record.stages
        if stage.name == "part2"
    )
    assert all(before[1] <= after[0] for before, after in pairwise(ran))
