"""Bit-incremental transmission (clause 10.6): the fine model at once, or a coarse one first.

    at once   edge: 16 bits ────────────▼──────────── UE: open, infer
    in steps  edge: 8 bits ─▼─ UE: open, infer, infer … while the update comes ─▼─ UE: open, infer

increments.csv   a row per version and link    VERSION.bit, VERSION.onnx   bitstream, rebuilt model
cells.jsonl      what nodes and proofs said    increments.json             what was asked
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event, Thread

from netem.spec import LinkSpec
from orchestrator.results.run_folder import RunFolder, check_free, create
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.site import Site, checked_site
from orchestrator.testbed.testbed import testbed
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.crossing import Crossing
from orchestrator.transit.evaluation import file_name
from orchestrator.transit.incremental_asked import Incremental
from orchestrator.transit.incremental_row import (
    AT_ONCE,
    COARSE,
    UPDATE,
    IncrementRow,
    increments_csv,
)
from orchestrator.transit.row import kept
from splitbed.errors import NodeError
from splitbed.model_coders.decoder import Decoder
from splitbed.model_coders.increments import alone, decode_update, encoded, steps, update_named
from splitbed.model_data import ModelFile, read_model, write_model

RESULTS_FILE, ASKED_FILE = "increments.csv", "increments.json"
Told = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """The rows, and the folder with its files."""

    rows: Sequence[IncrementRow]
    folder: RunFolder

    @property
    def exit_code(self) -> int:
        """0 where all went well."""
        return 0 if all(row.valid for row in self.rows) else 1


def run_incremental(asked: Incremental, told: Told) -> Outcome:
    """Measure what is asked; `told` is told what goes on. Raises SplitbedError."""
    named = versions(asked.bits)
    if asked.out:
        check_free(asked.out)
    site = None if asked.offline else checked_site(asked.config)
    with local_model(asked.config) as local:
        scenario = AnchorScenario(local, asked.config)
        folder = create(asked.out, f"increments-{local.model.name}")
        told_of = {"bits": asked.bits, "config": asked.config.model_dump(mode="json")}
        folder.replace(ASKED_FILE, json.dumps(told_of, indent=2))

        def keep(known: Sequence[IncrementRow]) -> None:
            folder.replace(RESULTS_FILE, increments_csv(known))

        rows = kept(here(scenario, local, named, folder, told), keep)
        if site:
            rows = kept(_over_links(rows, site, local, scenario, folder, told), keep, rows)
    return Outcome(rows, folder)


def versions(bits: Sequence[int]) -> list[tuple[str, int, str]]:
    """What travels: its version, the bits that the model then has, and the coder's name."""
    first, *others = steps(bits)
    return [
        (AT_ONCE, bits[-1], alone(bits, -1)),
        (COARSE, bits[0], first),
        *((UPDATE, high, name) for high, name in zip(bits[1:], others, strict=True)),
    ]


def here(
    scenario: AnchorScenario,
    local: LocalModel,
    named: Sequence[tuple[str, int, str]],
    folder: RunFolder,
    told: Told,
) -> Iterator[IncrementRow]:
    """Each version encoded, decoded and judged in this process."""
    whole = read_model(scenario.path)
    told(f"judging {local.model.name}, the anchor")
    perf, took_s = scenario.performance(scenario.path)
    dataset = local.model.facts.dataset
    held: ModelFile | None = None
    for version, bits, coder in named:
        told(f"coding {local.model.name} as {coder}")
        row = IncrementRow(
            version=version,
            precision_bit=bits,
            coder_name=coder,
            anc_size=sum(array.nbytes for array in whole.state.values()),
            metric_name=scenario.metric_name,
            anc_perf=perf,
            anc_eval_time=took_s,
            scenario_name="10.6",
            data_set_name=dataset.name if dataset else "",
            model_name=local.model.name,
            unique_tag="",
            eval_compression=True,
            eval_anchor=True,
        )
        held, row = _coded(row, whole, held, scenario, folder)
        yield row


def _coded(
    row: IncrementRow,
    whole: ModelFile,
    held: ModelFile | None,
    scenario: AnchorScenario,
    folder: RunFolder,
) -> tuple[ModelFile, IncrementRow]:
    """What is decoded of the bitstream, given what was decoded before it, and the row of that."""
    stem = file_name(row.coder_name)
    bit, file = folder.path / f"{stem}.bit", folder.path / f"{stem}.{whole.form}"
    start_s = time.monotonic()
    stream = b"".join(encoded(whole, row.coder_name))
    encoded_s = time.monotonic()
    if held is not None and update_named(row.coder_name):
        made = decode_update([stream], held)
    else:
        decoder = Decoder()
        decoder.feed(stream)
        made = decoder.finish()
    decoded_s = time.monotonic()
    bit.write_bytes(stream)
    rec_sha256 = write_model(made, file)
    perf, took_s = scenario.performance(file)
    return made, replace(
        row.coded(len(stream), encoded_s - start_s, decoded_s - encoded_s),
        rec_perf=perf,
        rec_eval_time=took_s,
        bit_sha256=hashlib.sha256(stream).hexdigest(),
        rec_sha256=rec_sha256,
        model_bytes=made.nbytes,
    )


def _over_links(
    coded: Sequence[IncrementRow],
    site: Site,
    local: LocalModel,
    scenario: AnchorScenario,
    folder: RunFolder,
    told: Told,
) -> Iterator[IncrementRow]:
    with testbed(site, local.model, scenario.config.flow_links) as bed:
        sending = Sending(Crossing(bed, scenario, folder))
        for link, *_ in scenario.config.flow_links:
            told(f"sending {local.model.name} over {link.words}")
            yield from sending.over(coded, link)


class Sending:
    """Sends every version over a link, in their order: an update follows what it refines."""

    def __init__(self, crossing: Crossing) -> None:
        self._crossing = crossing
        self._perf: dict[str, float | None] = {}
        """What each version reached on the UE, which no link changes."""

    def over(self, rows: Sequence[IncrementRow], link: LinkSpec) -> Iterator[IncrementRow]:
        """The rows over the link; what follows one that failed is not sent."""
        since, fault = 0.0, ""
        for row in rows:
            updates = row.version == UPDATE
            if fault and updates:
                yield self._crossing.failed(row, link, NodeError(fault))
                continue
            sent = self._sent(row, link, updates=updates)
            fault = "" if sent.startup_ms is not None else f"not sent, as {row.coder_name} failed"
            since = (since if updates else 0.0) + (sent.startup_ms or 0.0)
            yield replace(sent, since_request_ms=None if fault else since)

    def _sent(self, row: IncrementRow, link: LinkSpec, *, updates: bool) -> IncrementRow:
        known = replace(row, ue_perf=self._perf.get(row.coder_name))
        inferring = Inferring(self._crossing.infer)
        try:
            coded = self._crossing.ready(row.coder_name)
            during = inferring.going_on() if updates else None
            sent = self._crossing.over(known, link, coded, during)
        except NodeError as error:
            return self._crossing.broken(row, link, error)
        self._perf[row.coder_name] = sent.ue_perf
        return replace(sent, inferences_meanwhile=inferring.count if updates else None)


class Inferring:
    """Has the UE infer, one input after another, in a thread of its own."""

    def __init__(self, infer: Callable[[], None]) -> None:
        self._infer, self._ended = infer, Event()
        self.count = 0
        self._error: BaseException | None = None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """While this is open; raises what an inference raised, NodeError where it failed."""
        thread = Thread(target=self._run, name="inferring", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._infer()
                self.count += 1
        except BaseException as error:  # KeyboardInterrupt, too: who waits is to have it
            self._error = error
