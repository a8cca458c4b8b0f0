"""The CSV of TFLite's `benchmark_model` as a UE's profile: what is read, and what is refused."""

from pathlib import Path

import pytest

from orchestrator.plan.benchmark_csv import ue_profile
from orchestrator.plan.nodes import with_told_ue
from orchestrator.results.profile import CutSizes, Profile, Span
from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.tflite.graph import operators
from tests.graphs import tflite_models
from tests.orchestrator.commands import orchestrate
from tests.orchestrator.plan.test_plan import node, predictor

NEW = "node type, first, avg_ms, %, cdf%, mem KB, times called, name"
OLD = "node type, start, first, avg_ms, %, cdf%, mem KB, times called, name"
CHAIN = ("CONV_2D", "DEPTHWISE_CONV_2D", "RELU6", "CONV_2D")


def written(
    folder: Path, ops: tuple[str, ...], header: str = NEW, avg_ms: tuple[str, ...] = ()
) -> Path:
    """As benchmark_model writes it: of making the model ready, then of its runs, in two orders."""
    start = "0, " if "start" in header else ""
    times = avg_ms or tuple(f"{place + 1}.5" for place in range(len(ops)))
    rows = [
        f"{op}, {start}9, {ms}, 25%, 25%, 0, 1, [a, b;c, d]:{place}"
        for place, (op, ms) in enumerate(zip(ops, times, strict=True))
    ]
    order, time = (f"{'=' * 30} {name} {'=' * 30}" for name in ("Run Order", "Top by Computation"))
    ready = f"AllocateTensors, {start}7, 7, 100%, 100%, 0, 1, AllocateTensors/0"
    text = (
        f"Profiling Info for Benchmark Initialization:\n{order}\n{header}\n{ready}\n\n"
        f"Operator-wise Profiling Info for Regular Benchmark Runs:\n{order}\n{header}\n"
        + "\n".join([*rows, ready])
        + f"\n\n{time}\n{header}\n"
        + "\n".join(reversed(rows))
        + "\n\nNumber of nodes executed: 4\n"
    )
    (file := folder / "phone.csv").write_text(text)
    return file


def spans(*ends: int) -> list[Span]:
    return [
        Span(first=a, last=b, name=f"{a}", op="x", ms=99)
        for a, b in zip((0, *ends[:-1]), ends, strict=True)
    ]


def chain(tmp_path: Path) -> Graph:
    return tflite_models.saved_graph(tflite_models.chain(), tmp_path)


@pytest.mark.parametrize("header", [NEW, OLD])
def test_each_span_takes_what_its_operators_took_in_a_run(tmp_path: Path, header: str) -> None:
    told = ue_profile(written(tmp_path, CHAIN, header), chain(tmp_path), spans(1, 3, 4))
    assert [span.ms for span in told.layers] == [1.5, 2.5 + 3.5, 4.5]
    assert told.steady_ms == told.paced_ms == 12
    assert (told.source, told.init_ms) == ("phone.csv", None)


def test_what_depends_on_constants_only_is_no_layer(tmp_path: Path) -> None:
    graph = tflite_models.saved_graph(tflite_models.float16(), tmp_path)
    ops = tuple(op for op, _ in operators(graph))
    told = ue_profile(written(tmp_path, ops), graph, spans(graph.n))
    assert len(ops) > graph.n
    assert told.steady_ms == sum(
        place + 1.5 for place, (_, layer) in enumerate(operators(graph)) if layer is not None
    )


@pytest.mark.parametrize(
    ("ops", "told"),
    [
        (CHAIN[:3], "has 3 operators, the model has 4"),
        ((*CHAIN, "RELU"), "has 5 operators, the model has 4"),
        (("TfLiteXNNPackDelegate",), "--use_xnnpack=false"),
        (("CONV_2D", "RELU6", "DEPTHWISE_CONV_2D", "CONV_2D"), "operator 1 is RELU6, in the model"),
    ],
)
def test_what_does_not_match_the_model_is_refused(
    tmp_path: Path, ops: tuple[str, ...], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        ue_profile(written(tmp_path, ops), chain(tmp_path), spans(4))


@pytest.mark.parametrize("ms", ["nan", "-1", "inf", "", "fast"])
def test_what_is_no_time_is_refused(tmp_path: Path, ms: str) -> None:
    with pytest.raises(UsageError, match="has no time"):
        ue_profile(written(tmp_path, CHAIN, avg_ms=("1", ms, "1", "1")), chain(tmp_path), spans(4))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a,b\n1,2\n", b"= Run Order =\n"])
def test_what_is_no_such_file_is_refused_with_what_makes_one(
    tmp_path: Path, content: bytes
) -> None:
    (file := tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(UsageError, match="--enable_op_profiling"):
        ue_profile(file, chain(tmp_path), spans(4))


def test_a_plan_has_the_told_ue_and_the_edge_that_it_had(tmp_path: Path) -> None:
    graph = chain(tmp_path)
    cuts = tuple(CutSizes(k=k, part1_bytes=0, intermediate_bytes=0) for k in range(5))
    profile = Profile(ue=node((9.0,) * 4), edge=node((1.0,) * 4), cuts=cuts)
    told = with_told_ue(profile, written(tmp_path, CHAIN), lambda: graph)
    assert told.ue.ms(1, 3) == 6
    assert told.edge == profile.edge
    assert Profile.model_validate_json(told.model_dump_json()) == told
    assert with_told_ue(profile, None, lambda: graph) is profile


def test_a_ue_on_paper_cannot_be_measured(tmp_path: Path) -> None:
    file = written(tmp_path, CHAIN)
    words = ["plan", "--model", "shapesnet", "--verify", "1"]
    ended = orchestrate(*words, "--ue-profile-csv", str(file))
    assert ended.code == 2
    assert "--verify measures the UE of this testbed" in ended.err
    profile = predictor().profile
    left = profile.model_copy(update={"ue": profile.ue.model_copy(update={"source": "phone.csv"})})
    (tmp_path / "profile.json").write_text(left.model_dump_json())
    again = orchestrate(*words, "--profile", str(tmp_path))
    assert again.code == 2
    assert "phone.csv" in again.err
