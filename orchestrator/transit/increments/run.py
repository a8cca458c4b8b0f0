"""Bit-incremental transmission (clause 10.6): the fine model at once, or a coarse one first.

    at once   edge: 16 bits ────────────▼──────────── UE: open, infer
    in steps  edge: 8 bits ─▼─ UE: open, infer, infer … while the update comes ─▼─ UE: open, infer

increments.csv    a row per version and link    VERSION.bit, VERSION.onnx   bitstream, rebuilt model
cells.jsonl       a line per delivery           coders.jsonl                a line per version
increments.json   what was asked, of which model, on which machines
groups.json       the weights of each update by layer, by their places
"""

import hashlib
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

from msgspec.structs import replace as changed
from pydantic import TypeAdapter, ValidationError

from netem.spec import LinkSpec
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.conditions import coded_facts
from orchestrator.results import kinds
from orchestrator.results.kinds import TransitRecord, read_transit_record
from orchestrator.results.run_folder import RunFolder, check_free, create
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.site import Site, checked_site
from orchestrator.testbed.testbed import testbed
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.crossing import Crossing, once_more
from orchestrator.transit.delivery import Delivery
from orchestrator.transit.evaluation import file_name
from orchestrator.transit.increments.asked import Incremental
from orchestrator.transit.increments.row import (
    AT_ONCE,
    COARSE,
    UPDATE,
    IncrementRow,
    increment_row_of,
    increments_csv,
)
from orchestrator.transit.increments.sensitivity import groups
from orchestrator.transit.inferring import Inferring
from orchestrator.transit.journal import Journal, Layout
from orchestrator.transit.outcome import Outcome, Told
from splitbed.checked import one_line
from splitbed.errors import NodeError, UsageError
from splitbed.model_coders.decoder import Decoder
from splitbed.model_coders.increments import (
    alone,
    decode_update,
    encoded,
    steps,
    update_named,
    weights_of,
)
from splitbed.model_data import ModelFile, read_model, write_model

INCREMENTS = Layout(kinds.INCREMENTS, IncrementRow, increment_row_of, increments_csv, by_link=True)
_ASKED = TypeAdapter(Incremental)


def run_incremental(
    asked: Incremental, told: Told, resumed: Path | None = None, go_on: str = ""
) -> Outcome[IncrementRow]:
    """Measure what is asked, or go on with it in the folder ``resumed``.

    `told` is told what is on; ``go_on`` the command that goes on with what was stopped, where it is
    not this one. Raises SplitbedError.
    """
    if asked.out and resumed is None:
        check_free(asked.out)
    site = None if asked.offline else checked_site(asked.config)
    with local_model(asked.config) as local:
        scenario = AnchorScenario(local, asked.config)
        stem = f"increments-{local.model.name}"
        folder = RunFolder(resumed) if resumed else create(asked.out, stem)
        go_on = go_on or f"orchestrate increments --resume {folder.path}"
        with folder.locked(), _begun(folder, asked, local).going_on(go_on, told) as journal:
            named = versions(asked.bits, groups(asked, scenario, folder, told))
            coders = [coder for _, _, coder in named]
            if not {*coders} <= journal.here.keys():
                for row in here(scenario, local, named, folder, told, {*journal.here}):
                    journal.add_coder(row)
            journal.keep(coders)
            if site:
                _over_links(asked, site, local, scenario, journal, told)
            return Outcome(journal.rows, folder.path)


def _begun(folder: RunFolder, asked: Incremental, local: LocalModel) -> Journal[IncrementRow]:
    told = _ASKED.dump_python(asked, mode="json")
    fresh = TransitRecord(asked=told, model=local.model.facts, coded=coded_facts())
    return Journal.begun(folder, INCREMENTS, fresh)


def resumed_incremental(folder: Path) -> Incremental:
    """What was asked of the increments in a folder. UsageError where that cannot be told."""
    asked = dict(read_transit_record(folder, kinds.INCREMENTS).asked)
    try:
        config = TypeAdapter(dict[str, object]).validate_python(asked.get("config"))
        asked["config"] = sweep_config({k: v for k, v in config.items() if v is not None})
        return _ASKED.validate_python(asked)
    except ValidationError as error:
        raise UsageError(
            f"cannot resume {folder}: its increments.json is damaged: {one_line(error)}"
        ) from None


def versions(
    bits: Sequence[int], groups: Sequence[Sequence[int]] = ()
) -> list[tuple[str, int, str]]:
    """What travels: its version, the bits that the model then has, and the coder's name.

    With ``groups`` of weights, each refinement comes in as many updates.
    """
    first, *others = steps(bits, groups)
    high = [each for each in bits[1:] for _ in groups or [()]]
    return [
        (AT_ONCE, bits[-1], alone(bits, -1)),
        (COARSE, bits[0], first),
        *((UPDATE, each, name) for each, name in zip(high, others, strict=True)),
    ]


def here(
    scenario: AnchorScenario,
    local: LocalModel,
    named: Sequence[tuple[str, int, str]],
    folder: RunFolder,
    told: Told,
    known: Collection[str] = (),
) -> Iterator[IncrementRow]:
    """Each version but those `known`, encoded, decoded and judged in this process."""
    whole = read_model(scenario.path)
    told(f"judging {local.model.name}, the anchor")
    perf, took_s = scenario.performance(scenario.path)
    dataset = local.model.facts.dataset
    held: ModelFile | None = None
    for version, bits, coder in named:
        file = folder.path / f"{file_name(coder)}.{whole.form}"
        if coder in known and file.is_file():
            held = read_model(file)
            continue
        told(f"coding {local.model.name} as {coder}")
        row = IncrementRow(
            version=version,
            precision_bit=bits,
            refined_share=_share(whole, coder),
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


def _share(whole: ModelFile, coder: str) -> float:
    """Of the weights' values that have their bits once this has come."""
    update = update_named(coder)
    if update is None or not update.some:
        return 1.0
    sizes = [whole.state[name].size for name in weights_of(whole, update.first)]
    has = [update.follows(place) or update.refines(place) for place in range(len(sizes))]
    return sum(compress(sizes, has)) / sum(sizes)


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
    asked: Incremental,
    site: Site,
    local: LocalModel,
    scenario: AnchorScenario,
    journal: Journal[IncrementRow],
    told: Told,
) -> None:
    with testbed(site, local.model, scenario.config.flow_links) as bed:
        sending = Sending(Crossing(bed, scenario, journal))
        ended = journal.ended
        for number in range(asked.runs):
            for link, *_ in scenario.config.flow_links:
                every = {(name, link.words, number) for name in journal.here}
                if not every <= ended:
                    told(f"sending {local.model.name} over {link.words}")
                    sending.over(link, number)
        once_more(journal, lambda one: sending.over(one.link, one.number), told)


class Sending:
    """Sends every version over a link, in their order: an update follows what it refines."""

    def __init__(self, crossing: Crossing[IncrementRow]) -> None:
        self._crossing = crossing
        self._journal = crossing.journal

    def over(self, link: LinkSpec, number: int = 0) -> None:
        """All of them over the link; what follows one that failed is not sent."""
        since, failed, disturbed, resumed = 0.0, "", list[str](), 0
        for name, row in self._journal.here.items():
            updates = row.version == UPDATE
            if failed and updates:
                error = f"not sent, as {failed} failed"
                self._journal.add(Delivery(coder=name, link=link, number=number, error=error))
                continue
            if not updates:
                since, disturbed, resumed = 0.0, [], 0
            sent = self._sent(name, link, number, updates=updates)
            failed = name if sent.error is not None else ""
            since += sent.startup_ms
            self._journal.add(
                changed(
                    sent,
                    since_request_ms=None if failed else since,
                    disturbed_before="; ".join(dict.fromkeys(disturbed)),
                    resumed_before=resumed,
                )
            )
            disturbed += [sent.disturbed] if sent.disturbed else []
            resumed += sent.resumed

    def _rebuilt(self, coder: str) -> Path:
        """The model that the UE has once this has come, as it was made where it was encoded."""
        stem, form = file_name(coder), self._crossing.scenario.path.suffix
        return self._journal.folder.path / f"{stem}{form}"

    def _sent(self, coder: str, link: LinkSpec, number: int, *, updates: bool) -> Delivery:
        inferring = Inferring(self._crossing.infer)
        try:
            self._crossing.ready(coder, self._rebuilt(coder))
            during = inferring.going_on() if updates else None
            sent = self._crossing.over(coder, link, number, during)
        except NodeError as error:
            return self._crossing.broken(coder, link, number, error)
        return changed(sent, inferences_meanwhile=inferring.count if updates else None)
