"""A UE's profile from the CSV of TFLite's `benchmark_model`: a phone can be the UE on paper.

    benchmark_model --graph=m.tflite --use_xnnpack=false --enable_op_profiling=true
                    --profiling_output_csv_file=FILE

In newer ones, `--op_profiling_output_mode=csv --op_profiling_output_file=FILE`:

    Operator-wise Profiling Info for Regular Benchmark Runs:
    ============================== Run Order ==============================
    node type, first, avg_ms, %, cdf%, mem KB, times called, name
    CONV_2D, 0.21, 0.19, 61%, 61%, 0, 1, [relu]:0

Older ones have a column `start` too. A row is an operator of the file if its name is of tensors;
what else runs (`AllocateTensors/0`) is none. TensorFlow: tensorflow/core/util/stats_calculator.cc.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.results.profile import NodeProfile, Span
from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.tflite.graph import operators
from splitbed.media.files import text_in

TITLE, ORDER = "Operator-wise Profiling Info for Regular Benchmark Runs", "= Run Order ="
COLUMNS = ("node type", "avg_ms", "times called", "name")
_TENSORS = re.compile(r"\[.*\](:\d+)?")
_MADE_BY = (
    "give what `benchmark_model --use_xnnpack=false --enable_op_profiling=true "
    "--profiling_output_csv_file=FILE` wrote"
)


@dataclass(frozen=True)
class TimedOperator:
    """An operator as it ran: TFLite's name of it, and what it takes of a run of the model."""

    op: str
    ms: float


def read_operators(file: Path) -> tuple[TimedOperator, ...]:
    """The operators of the regular runs, in their order. Raises UsageError for another file."""
    try:
        text = text_in(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"--ue-profile-csv {file} cannot be read ({error}): {_MADE_BY}") from None
    lines = iter(text[max(text.find(TITLE), 0) :].splitlines())
    for line in lines:
        if ORDER in line:
            break
    columns = next(lines, "").strip().split(", ")
    if not set(COLUMNS) <= set(columns):
        raise UsageError(
            f"--ue-profile-csv {file} has no CSV table of operators in the order of a run: "
            f"{_MADE_BY}"
        )
    return tuple(_rows(file, columns, lines))


def _rows(file: Path, columns: Sequence[str], lines: Iterator[str]) -> Iterator[TimedOperator]:
    for line in lines:
        if not line.strip():
            return
        told = dict(zip(columns, line.strip().split(", ", len(columns) - 1), strict=False))
        if not _TENSORS.fullmatch(told.get("name", "")):
            continue
        try:
            ms = float(told["avg_ms"]) * float(told["times called"])
        except ValueError:
            ms = -1.0
        if not 0 <= ms < float("inf"):
            raise UsageError(f"--ue-profile-csv {file}: {line.strip()!r} has no time: {_MADE_BY}")
        # after a slash, newer ones tell more of it
        yield TimedOperator(told["node type"].partition("/")[0], ms)


def ue_profile(file: Path, graph: Graph, spans: Sequence[Span]) -> NodeProfile:
    """The profile of the UE that ran `graph`, by the spans of another node's profile.

    A run after a pause is taken to be as any other. Raises UsageError where operators differ.
    """
    if graph.format != "tflite":
        raise UsageError(
            f"--ue-profile-csv {file} is of a TFLite model, and this one is of {graph.format}: "
            "plan for the .tflite file that was profiled"
        )
    timed = read_operators(file)
    asked = operators(graph)
    _check_same(file, [one.op for one in timed], [op for op, _ in asked])
    layers_ms = [0.0] * graph.n
    for (_, layer), one in zip(asked, timed, strict=True):
        if layer is not None:
            layers_ms[layer] = one.ms
    whole_ms = sum(layers_ms)
    return NodeProfile(
        steady_ms=whole_ms,
        paced_ms=whole_ms,
        layers=tuple(span.replaced(ms=sum(layers_ms[span.first : span.last])) for span in spans),
        source=file.name,
    )


def _check_same(file: Path, found: Sequence[str], asked: Sequence[str]) -> None:
    repair = (
        "profile this very file with `benchmark_model --use_xnnpack=false`: delegates leave no "
        "operators to be told apart"
    )
    if len(found) != len(asked):
        raise UsageError(
            f"--ue-profile-csv {file} has {len(found)} operators, the model has {len(asked)}: "
            f"{repair}"
        )
    for place, (one, other) in enumerate(zip(found, asked, strict=True)):
        if one != other:
            raise UsageError(
                f"--ue-profile-csv {file}: operator {place} is {one}, in the model it is {other}: "
                f"{repair}"
            )
