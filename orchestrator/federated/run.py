"""Federated averaging over links, measured (clause 9.3).

cells.jsonl     a line per cell that ended, with all of its rounds and the proofs of its links
anchor.json     central training                        spark.log      what Spark's processes said
federated.csv   a row per round and UE                  targets.csv    a row per cell
model-N.safetensors   what the N-th cell had trained at its end
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from netem.backends import check_rates, choose
from netem.probe.proof import Proof, judge
from netem.spec import LinkSpec
from orchestrator.federated import row, spark, words
from orchestrator.federated.asked import Cell, Fault, Federated, names
from orchestrator.federated.cluster import Cluster, cluster
from orchestrator.results.json_record import json_text
from orchestrator.results.records import ProofRecord
from orchestrator.results.run_folder import CELLS_FILE, RunFolder
from orchestrator.testbed.scratch import Scratch, remove_abandoned, scratch
from splitbed.errors import LinkError, NodeError, RunError, UsageError
from splitbed.federated.drawn import HELD_OUT_SEED, Places, Samples, drawn, shares

ROUNDS_FILE, TARGETS_FILE, ANCHOR_FILE = "federated.csv", "targets.csv", "anchor.json"
LOG_FILE = "spark.log"
MOST_LIMITS = 4
"""A round without a quorum is given up after so many limits."""
_BEYOND_S = 60.0  # what the driver may take around a round
_LULL_S = 1.0
_AT_WORK_S = 0.3  # after which a UE that is to be killed has its task

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What the folder has at the end."""

    rounds: Sequence[row.RoundRow]
    targets: Sequence[row.TargetRow]

    @property
    def exit_code(self) -> int:
        """0 where every cell is valid."""
        return 0 if all(one.valid for one in self.targets) else RunError.exit_code


def run_federated(asked: Federated, folder: RunFolder, told: Say) -> Outcome:
    """Measure the cells that the folder lacks. Raises SplitbedError."""
    spark.check()
    backend = choose(asked.link_backend)
    for cell in asked.cells:
        for spec in asked.links(cell).values():
            check_rates(backend, spec)
    with folder.locked():
        damage: list[str] = []
        kept = [*folder.kept(CELLS_FILE, row.FederatedRecord, damage)]
        ended = {one.cell.words: one for one in kept}
        for line in damage:
            told(line)
        left = [cell for cell in asked.cells if cell.words not in ended]
        remove_abandoned()
        with scratch() as space:
            for ues, cells in groupby(left, lambda cell: cell.ues):
                with _up(asked, backend, ues, space, folder, told) as bed:
                    if not (folder.path / ANCHOR_FILE).exists():
                        told("training the anchor, on the samples of all UEs")
                        _anchor(asked, bed, folder)
                    for cell in cells:
                        number = asked.cells.index(cell) + 1
                        told(f"training over {cell.words} ({number} of {len(asked.cells)})")
                        model = folder.path / f"model-{number}.safetensors"
                        record = _measured(asked, cell, bed, backend, model.resolve())
                        folder.append(CELLS_FILE, record.line())
                        ended[cell.words] = record
        return _leave(asked, [ended[cell.words] for cell in asked.cells], folder)


@contextmanager
def _up(
    asked: Federated, backend: str, ues: int, space: Scratch, folder: RunFolder, told: Say
) -> Iterator[Cluster]:
    told(f"starting Spark on {ues} UEs and the aggregator")
    (data := space.folder / f"data-{ues}").mkdir()
    samples = drawn(asked.samples, asked.seed)
    drawn(asked.held_out, HELD_OUT_SEED + asked.seed).write(data / "held-out.npz")
    for ue, places in zip(names(ues), _shares(asked, samples, ues), strict=True):
        samples.at(places).write(data / f"{ue}.npz")
    try:
        with cluster(backend, space, data, names(ues), asked.quorum, asked.limit_s) as bed:
            yield bed
    finally:
        logs = [file.read_text(errors="replace") for file in sorted(space.folder.glob("*.log"))]
        (folder.path / LOG_FILE).write_text("\n".join(logs))


def _shares(asked: Federated, samples: Samples, ues: int) -> list[Places]:
    return shares(samples.labels, ues, asked.skew, asked.seed)


def _training(asked: Federated, coder: str) -> words.Training:
    return words.Training(
        hidden=asked.hidden,
        epochs=asked.epochs,
        rate=asked.rate,
        seed=asked.seed,
        coder=coder,
        model_coder=asked.model_coder,
    )


def _anchor(asked: Federated, bed: Cluster, folder: RunFolder) -> None:
    bed.ask(_training(asked, "dummy"), _BEYOND_S)
    anchored = bed.ask(words.Central(asked.rounds, asked.target), 600)
    assert isinstance(anchored, words.Anchored)
    samples = drawn(asked.samples, asked.seed)
    each = samples.pictures[0].nbytes + 1  # a byte says the class
    most = {
        ues: max(map(len, _shares(asked, samples, ues))) * each for ues in sorted(set(asked.ues))
    }
    record = row.AnchorRecord(anchored=anchored, most_bytes=most)
    folder.replace(ANCHOR_FILE, record.json(indent=1))


def _measured(
    asked: Federated, cell: Cell, bed: Cluster, backend: str, model: Path
) -> row.FederatedRecord:
    """A cell, whatever comes of it; what was measured before it failed is in it."""
    rounds, proofs, error = list[row.RoundRecord](), list[ProofRecord](), ""
    links = asked.links(cell)
    try:
        for ue in bed.gone():
            bed.start(ue)
        bed.ask(_training(asked, cell.coder), _BEYOND_S)
        bed.wait(cell.names)  # each UE takes its part once, before the link is shaped
        bed.shape(links)
        proofs += _proved(bed, links)
        for number in range(1, asked.rounds + 1):
            rounds.append(_round(asked, cell, bed, number))
            if rounds[-1].ended.accuracy >= asked.target:
                break
        _drained(bed, links, MOST_LIMITS * asked.limit_s)
        proofs += _proved(bed, links)
        bed.ask(words.Keep(str(model)), _BEYOND_S)
    except (NodeError, LinkError) as failed:
        error = str(failed)
    return row.FederatedRecord(
        cell=cell, rounds=tuple(rounds), proofs=tuple(proofs), link_backend=backend, error=error
    )


def _round(asked: Federated, cell: Cell, bed: Cluster, number: int) -> row.RoundRecord:
    most_s = MOST_LIMITS * asked.limit_s
    told = words.Round(number, cell.names, asked.quorum, most_s)
    carried = bed.counters()
    with _killing(bed, cell.fault, number):
        ended = bed.ask(told, most_s + _BEYOND_S)
    assert isinstance(ended, words.Ended)
    since = {ue: now.since(carried[ue]) for ue, now in bed.counters().items()}
    traffic = {ue: row.Traffic(one.sent_bytes, one.received_bytes) for ue, one in since.items()}
    return row.RoundRecord(ended=ended, traffic=traffic)


@contextmanager
def _killing(bed: Cluster, fault: Fault | None, number: int) -> Iterator[None]:
    """Kill the UE that is to be killed in this round, as it is at work.

    It is held from the round's begin, or it might have answered by then.
    """
    if fault is None or fault.kind != "kill" or fault.number != number:
        yield
        return
    bed.hold(fault.ue)
    timer = threading.Timer(_AT_WORK_S, bed.kill, [fault.ue])
    timer.start()
    try:
        yield
    finally:
        timer.join()


def _drained(bed: Cluster, links: Mapping[str, LinkSpec], within_s: float) -> None:
    """Wait until no link carries what belongs to a round any more: a proof would be behind it.

    What crosses else, as heartbeats, is less than a quarter of what a link could carry.
    """
    deadline_s = time.monotonic() + within_s
    before = bed.counters()
    while time.monotonic() < deadline_s:
        time.sleep(_LULL_S)
        now = bed.counters()
        since = {ue: one.since(before[ue]) for ue, one in now.items()}
        most = {ue: spec.uplink.rate_mbit * 1e6 / 8 * _LULL_S / 4 for ue, spec in links.items()}
        if all(max(since[ue].sent_bytes, since[ue].received_bytes) < most[ue] for ue in links):
            return
        before = now


def _proved(bed: Cluster, links: Mapping[str, LinkSpec]) -> list[ProofRecord]:
    there = {ue: spec for ue, spec in links.items() if ue not in bed.gone()}
    return [_proof(ue, proof, there[ue]) for ue, proof in bed.prove(there).items()]


def _proof(ue: str, proof: Proof, spec: LinkSpec) -> ProofRecord:
    fault = judge(proof, spec)
    return ProofRecord(
        uplink_mbit=proof.uplink_mbit,
        downlink_mbit=proof.downlink_mbit,
        rtt_min_ms=proof.rtt_min_ms,
        rtt_median_ms=proof.rtt_median_ms,
        pings=proof.pings,
        attempts=proof.attempts,
        lost=proof.lost,
        fault=f"the link of {ue}: {fault}" if fault else "",
        ends=(ue, "aggregator"),
    )


def _leave(asked: Federated, records: Sequence[row.FederatedRecord], folder: RunFolder) -> Outcome:
    rounds = [one for record in records for one in row.round_rows(record)]
    targets = [row.target_row(record, asked.target) for record in records]
    anchor = read_anchor(folder.path)
    links = dict.fromkeys((cell.ues, cell.bw_mbit) for cell in asked.cells)
    targets += [row.anchor_row(anchor, *link, asked.target) for link in links]
    folder.replace(ROUNDS_FILE, row.csv_of(rounds, row.RoundRow))
    folder.replace(TARGETS_FILE, row.csv_of(targets, row.TargetRow))
    return Outcome(rounds, targets)


def read_anchor(folder: Path) -> row.AnchorRecord:
    """Raises UsageError where it cannot be read."""
    file = folder / ANCHOR_FILE
    try:
        return row.AnchorRecord.from_json(json_text(file))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read ({error}): run the scenario anew") from None
