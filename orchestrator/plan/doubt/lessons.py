"""What earlier runs teach of predictions: their rows against what a plan would have said of them.

The profile is the run's own, the plan's in one that was verified; coding is as it was measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import FLOWS
from orchestrator.ask.split_point import codecs_of
from orchestrator.plan.doubt import Lesson
from orchestrator.plan.facts import Coded, Facts, Option
from orchestrator.plan.grid import PlanGrid, PlanPoint
from orchestrator.plan.prediction import Predictor
from orchestrator.plan.verify import VERIFY_FOLDER
from orchestrator.results.prediction import encoded_meanwhile
from orchestrator.results.profile import Profile, read_profile
from orchestrator.results.reading import read_folder
from orchestrator.results.rows import Row, known
from orchestrator.results.run_folder import RunFolder
from splitbed.codecs import RAW
from splitbed.errors import UsageError
from splitbed.graphs.mincut import Dag


def read_lessons(folders: Sequence[Path]) -> list[Lesson]:
    """Of all rows of sweeps and verified plans. Raises UsageError where a folder has none."""
    return [lesson for folder in folders for lesson in _of_folder(folder)]


def _of_folder(folder: Path) -> list[Lesson]:
    profile = read_profile(RunFolder(folder))
    verified = folder / VERIFY_FOLDER
    if profile is None:
        raise UsageError(
            f"--learn {folder} has no profile to predict from: give the folder of a sweep that "
            "profiled, or of a plan that was verified"
        )
    rows = read_folder(verified if verified.is_dir() else folder).rows
    told = [*_of_rows(rows, profile)]
    if not told:
        raise UsageError(f"--learn {folder} has no valid row at the UE's own pace: give another")
    return told


def _of_rows(rows: Sequence[Row], profile: Profile) -> Iterator[Lesson]:
    for row in rows:
        if row.valid and not (row.ue or row.precision) and _is_plain(row) and row.e2e_ms:
            option = _option(row)
            owns = {hop: row.asked_of(hop) for hop in FLOWS[row.flow].hops}
            predictor = Predictor(profile, _facts(row, option), owns=owns)
            work, grid = predictor.work([option]), PlanGrid.of(_point(row))
            predicted_ms = predictor.e2e_ms(work, grid).item()
            wire_ms = predictor.wire_ms(work, grid).item()
            long = predictor.long_parts(work, grid).item()
            every_ms = (row.e2e_ms, *row.samples_ms)
            ratio, *frames = ((ms - wire_ms) / (predicted_ms - wire_ms) for ms in every_ms)
            yield Lesson(ratio, bool(long), tuple(frames))


def _is_plain(row: Row) -> bool:
    """Whether its link is one that a plan is made for: both directions alike, nothing lost."""
    return (
        (row.bw_mbit, row.delay_ms) == (row.downlink_mbit, row.downlink_delay_ms)
        and row.jitter_ms == row.downlink_jitter_ms == 0
        and row.loss_pct == row.downlink_loss_pct == 0
    )


def _point(row: Row) -> PlanPoint:
    return PlanPoint(1.0, row.delay_ms, row.bw_mbit)


def _option(row: Row) -> Option:
    """What its nodes coded, all of it as what crosses first."""
    (first, *later), n = [*accumulate(row.layers[:-1])], sum(row.layers)
    codec, input_codec = codecs_of(row.codec)
    asked = Configuration(first, n, row.split_name, codec, flow=row.flow, later=tuple(later))
    if {0} < {cut for cut, _ in asked.coding}:
        asked = replace(asked, input_codec=input_codec or RAW)
    sent = dict(row.of_flow)
    nbytes = {cut: sent.get(f"{hop}_bytes", row.encoded_bytes) for hop, cut in asked.crossings}
    coded = [Coded(nbytes=int(nbytes[cut] or 0)) for cut, _ in asked.coding]
    if coded:
        hop = next(hop for hop, cut in asked.crossings if cut == asked.coding[0][0])
        coded[0] = coded[0].replaced(
            encode_ms=known(row.encode_ms),
            releases=encoded_meanwhile(row, coded[0].nbytes, hop),
            decode_ms=known(row.decode_ms),
        )
    return Option(configuration=asked, coded=tuple(coded))


def _facts(row: Row, option: Option) -> Facts:
    return Facts(
        asked={},
        model=row.model,
        weights=row.weights,
        sha256="",
        frames=(),
        result_ms=known(row.result_ms),
        result_bytes=row.result_bytes or 0,
        options=(option,),
        dag=Dag(sum(row.layers), ()),
    )
