"""What the page of a run is told: rows, raw samples and run.json, as plain JSON."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from netem.probe.proof import RATE_TOLERANCE
from orchestrator.ask.flow import FLOWS, nodes_of, shape_of
from orchestrator.ask.topology import called
from orchestrator.reports.capacity_facts import capacity_facts
from orchestrator.reports.export import sent_bytes
from orchestrator.reports.load_table import load_lines
from orchestrator.reports.resource_table import resource_lines
from orchestrator.reports.stages import taken_ms
from orchestrator.results.columns.flow import stages_of
from orchestrator.results.judgement.accuracy import is_fit
from orchestrator.results.judgement.advice import held
from orchestrator.results.judgement.choice import Choice, choices
from orchestrator.results.judgement.compression import compression_needed, data_bytes
from orchestrator.results.judgement.throughput import most_frames
from orchestrator.results.judgement.verdict import advised, judge_run
from orchestrator.results.judgement.words import listed, lost_words, within
from orchestrator.results.reading import Reading, read_folder
from orchestrator.results.records import CellRecord, RunRecord
from orchestrator.results.rows import COLUMNS, Row
from orchestrator.results.run_folder import CELLS_FILE, SAMPLES_FILE, RunFolder
from splitbed.timeline import NS_PER_MS, Timeline, is_hop

Facts = dict[str, object]
"""What the page is told, as JSON has it."""

CURVE_POINTS = 200
_LISTED = 12  # of a long list, as of inputs, the rest is in run.json


def facts(run: Path) -> Facts:
    """All that the page tells, as plain JSON: numbers to 6 digits, times in ms, sizes in bytes.

    Raises UsageError for what is no run, or a newer one's.
    """
    reading, searched = read_folder(run), RunFolder(run).read_capacity()
    both = [*zip(reading.rows, reading.cells, strict=True)]
    if searched:  # whose loads are runs of a search: what came of them is its answer
        both = [(row, cell) for row, cell in both if not row.load]
    table = [row for row, _ in both]
    filled = [name for name in COLUMNS if any(getattr(row, name) is not None for row in table)]
    told: Facts = {
        "run": run.resolve().name,
        "model": reading.run.model.name,
        "verdict": _own_verdict(reading.run) if searched else _verdict(reading.run, table),
        "capacity": capacity_facts(searched) if searched else None,
        "unread": _unread(run, reading),
        "stages": [*stages_of(reading.run.flow), "network"],
        "hops": FLOWS[reading.run.flow].hops,
        "places": [*map(called, FLOWS[reading.run.flow].nodes), "link"],
        "answer": ANSWER,
        "choices": [_choice_facts(choice, table) for choice in choices(table)],
        "cells": [
            _cell_facts(row, cell, reading.timelines_of(cell))
            | {"row": {name: getattr(row, name) for name in filled} | dict(row.of_flow)}
            for row, cell in both
        ],
        "loads": load_lines(table),
        "resources": resource_lines(table),
        "predicted": [_predicted_line(row) for row in reading.every if row.predicted],
        "rate_tolerance": RATE_TOLERANCE,
        "conditions": _conditions(reading.run),
    }
    return {name: _plain(value) for name, value in told.items()}


def _predicted_line(row: Row) -> tuple[object, ...]:
    ends = row.e2e_predicted_low_ms, row.e2e_predicted_high_ms
    return row.link, row.ue, row.label, row.e2e_predicted_ms, *ends


def _verdict(run: RunRecord, table: Sequence[Row]) -> Facts:
    """As the run says; of one that has not ended, or lost some of its files, as its rows say."""
    asked = max(len(table), run.cells_asked)
    judged = judge_run(table, asked) if table else None
    reasons = list(run.reasons)
    reasons += [one for one in (judged.reasons if judged else ()) if one not in reasons]
    word = run.verdict or "NOT ENDED"
    if word == "VALID" and reasons:
        word = "INVALID"
    if not table:
        reasons.append("no cell has ended")
    return {"word": word, "reasons": reasons, "advice": list(advised(run, table))}


def _own_verdict(run: RunRecord) -> Facts:
    """As a search says it of itself."""
    return {"word": run.verdict or "NOT ENDED", "reasons": run.reasons, "advice": run.advice}


def _unread(run: Path, reading: Reading) -> list[str]:
    """What is missing of the folder, or cannot be read."""
    missing = [name for name in (CELLS_FILE, SAMPLES_FILE) if not (run / name).exists()]
    damage = [words.removeprefix(f"{run}/") for words in reading.damage]
    more = [f"… and {len(damage) - _LISTED} more lines"] if len(damage) > _LISTED else []
    return [f"{name} is missing" for name in missing] + damage[:_LISTED] + more


def _choice_facts(choice: Choice, table: Sequence[Row]) -> Facts:
    """Rows are told by their place in the table."""
    places = {id(row): place for place, row in enumerate(table)}

    def place(row: Row | None) -> int | None:
        return None if row is None else places[id(row)]

    return {
        "best": place(choice.best),
        "split": place(choice.split),
        "anchor": place(choice.anchor),
        "lossless": place(choice.lossless),
        "link": choice.link,
        "ue": choice.ue,
        "load": choice.conditions.load,
        "name": choice.conditions.words,
        "sure": choice.sure,
        "tied": [places[id(row)] for row in choice.tied],
        "answer": _answer(choice),
    }


ANSWER = (
    "link", "choose", "end to end", "may be as fast", "by how much", "accuracy lost",
    "fastest without loss", "most frames a second",
)  # fmt: skip
"""Headings of what to choose."""


def _answer(choice: Choice) -> list[str]:
    """A line below them, in words that are those of the advice."""
    name = choice.conditions.words
    best, lossless = choice.best, choice.lossless
    if best is None:
        return [name, "nothing valid that may be recommended was measured", *[""] * 6]
    return [
        name,
        best.label,
        within(best),
        listed([row.label for row in choice.tied[1:]] or ["nothing"], "and"),
        held(choice),
        lost_words(best) or "none",
        "the same"
        if best.lossless
        else f"{lossless.label}, {within(lossless)}"
        if lossless
        else "none was measured",
        most.words if (most := most_frames(choice)) else "not told",
    ]


def _cell_facts(row: Row, cell: CellRecord, frames: Sequence[Timeline]) -> Facts:
    return {
        "label": row.label,
        "anchor": row.is_anchor,
        "fit": is_fit(row),
        "sent": None if row.encoded_bytes is None else sent_bytes(row),
        "data": None if row.encoded_bytes is None else data_bytes(row),
        "taken": {stage: taken_ms(row, stage) for stage in stages_of(row.flow)},
        "needed": None if row.e2e_ms is None else compression_needed(row),
        "cdf": _curve([frame.e2e_ms for frame in frames]),
        "frame": _median_frame(frames, row.flow),
        "proofs": [*_proofs(cell)],
    }


def _proofs(cell: CellRecord) -> Iterator[Facts]:
    """Of each link of its flow, before and after; `ends` where it has several."""
    links = FLOWS[cell.flow].links
    for number, ends in enumerate(links, start=1):
        way = shape_of(cell.every_link, f"uplink{number}")
        back = shape_of(cell.every_link, f"downlink{number}")
        for place, proof in enumerate(cell.proofs_of(number)):
            yield {
                "when": "after" if place else "before",
                "ends": " to ".join(ends) if len(links) > 1 else "",
                "asked": [way.rate_mbit, back.rate_mbit, way.delay_ms + back.delay_ms],
                "proved": [*(proof.measured_mbit or (None, None)), proof.rtt_min_ms],
                "fault": proof.fault,
            }


def _curve(e2e_ms: Sequence[float]) -> list[tuple[float, float]]:
    """The share of frames that took no longer, at no more than CURVE_POINTS of the times."""
    ranked = sorted(e2e_ms)
    count = len(ranked)
    places = np.unique(np.linspace(0, count - 1, min(count, CURVE_POINTS)).round().astype(int))
    return [(ranked[place], (int(place) + 1) / count) for place in places]


def _median_frame(frames: Sequence[Timeline], flow: str) -> Facts | None:
    """The frame in the middle: stage, place, start and end since its first stage began."""
    if not frames:
        return None
    middle = statistics.median_low(frame.e2e_ms for frame in frames)
    number = next(number for number, frame in enumerate(frames) if frame.e2e_ms == middle)
    frame = frames[number]
    began_ns = min(stage.start_ns for stage in frame.stages)
    nodes = nodes_of(flow, [stage.name for stage in frame.stages])
    spans = [
        [
            stage.name,
            "link" if is_hop(stage.name) else called(node),
            (stage.start_ns - began_ns) / NS_PER_MS,
            (stage.end_ns - began_ns) / NS_PER_MS,
        ]
        for stage, node in zip(frame.stages, nodes, strict=True)
    ]
    return {"number": number + 1, "of": len(frames), "e2e_ms": middle, "spans": spans}


def _conditions(run: RunRecord) -> list[Facts]:
    """Everything else in run.json, a table for each part of it."""
    machine = run.conditions.plain()
    nodes = [machine.pop("ue"), machine.pop("edge")]
    history = {"ended": run.ended, "resumed": run.resumed}
    parts: dict[str, object] = {
        "What was asked": run.asked,
        "The model": run.model.plain(),
        "The machine": machine | history,
        "The UE node": nodes[0],
        "The edge node": nodes[1],
    }
    told = {title: list(_lines(part)) for title, part in parts.items()}
    return [{"title": title, "lines": lines} for title, lines in told.items() if lines]


def _lines(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as lines of a name and its words; what was not asked is left out."""
    if isinstance(value, Mapping) and name and not any(map(_nests, value.values())):
        if said := [f"{key} {one}" for key, one in value.items() if one is not None]:
            yield name, ", ".join(said)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _lines(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and any(map(_nests, value)):
        for place, inner in enumerate(value[:_LISTED], 1):
            yield from _lines(inner, f"{name}.{place}")
        if len(value) > _LISTED:
            yield name, f"… and {len(value) - _LISTED} more, which are in run.json"
    elif isinstance(value, list | tuple):
        if value:
            yield name, ", ".join(map(str, value))
    elif value is not None:
        yield name, str(value)


def _nests(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _plain(value: object) -> object:
    """As JSON can hold it: what is infinite, or no number, as a word."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    return value
