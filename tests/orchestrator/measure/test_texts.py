"""A model of texts is fed files of tokens, cut anywhere, and judged by what it says of them."""

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.accuracy import Judge, check_classes
from orchestrator.testbed.model import SweptModel, load_model
from splitbed.errors import UsageError
from splitbed.graphs.parts import extract
from splitbed.node.config import Limits
from splitbed.node.source.inputs import Source
from splitbed.tensors import Tensors
from splitbed.wire import max_abs_diff

VOCABULARY, WIDTH = 12, 4


def masked(file: Path, *, pooled: bool = False) -> str:
    """A model of two inputs, of open length, whose mask is needed behind the first layer.

    It gives logits for each place, or ``pooled`` one score for each token of the vocabulary.
    """
    rng = np.random.default_rng(0)
    weights = {
        "table": rng.normal(size=(VOCABULARY, WIDTH)),
        "head": rng.normal(size=(WIDTH, VOCABULARY)),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"], name="rows"),
        helper.make_node("Tanh", ["rows"], ["bent"], name="bent"),
        helper.make_node("Cast", ["attention_mask"], ["ones"], name="ones", to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["ones", "last"], ["column"], name="column"),
        helper.make_node("Mul", ["bent", "column"], ["kept"], name="kept"),
        helper.make_node("MatMul", ["kept", "head"], ["each"], name="each"),
    ]
    shape: list[str | int | None] = [1, "length", VOCABULARY]
    if pooled:
        nodes.append(helper.make_node("ReduceMean", ["each"], ["out"], axes=[1], name="out"))
        shape[1] = 1
    else:
        nodes.append(helper.make_node("Identity", ["each"], ["out"], name="out"))
    graph = helper.make_graph(
        nodes,
        "masked",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, [1, "length"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(np.array([2]), "last"),
            *(numpy_helper.from_array(one.astype(np.float32), n) for n, one in weights.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, file)
    return str(file)


def loaded(folder: Path, task: str, *lines: object, pooled: bool = False) -> SweptModel:
    (stored := folder / "stored").mkdir()
    (folder / "texts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    asked = {
        "model": masked(folder / "masked.onnx", pooled=pooled), "task": task, "runs": 3,
        "input": str(folder / "texts.jsonl"), "shape": "input_ids=1x6,attention_mask=1x6",
    }  # fmt: skip
    return load_model(sweep_config(asked), stored)


def results(model: SweptModel, k: int) -> dict[int, Tensors]:
    """What the halves of the model make of each input."""
    ue, edge = extract(model.stored, k)
    with model.session(ue, 1) as first, model.session(edge, 1) as second:
        return {
            place: model.info.result_of(second.run(first.run(one.tensors)))
            for place, one in enumerate(model.inputs)
        }


def test_texts_of_any_length_go_through_every_cut_of_a_model_of_two_inputs(tmp_path: Path) -> None:
    model = loaded(tmp_path, "next-token", [1, 2, 3], list(range(1, 10)))
    first, _, third = model.inputs
    assert [one.name for one in model.inputs] == [
        "texts.jsonl:1", "texts.jsonl:2:0", "texts.jsonl:2:5",
    ]  # fmt: skip
    assert first.tensors["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0]]
    assert third.tensors["input_ids"].tolist() == [[6, 7, 8, 9, 0, 0]]
    crossing = [info.name for info in model.graph.cuts[1].tensors]
    assert crossing == ["attention_mask", "rows"], "what is needed later crosses, too"
    whole = results(model, 0)
    for k in range(1, model.graph.n):
        split = results(model, k)
        assert max(max_abs_diff(whole[at], split[at]) for at in whole) < 1e-6
    judged = Judge(model, whole).judge(results(model, 2))
    assert (judged.metric, judged.drop) == ("1 / perplexity", 0)
    assert judged.more["tokens"] == 2 + 8, "what fills a text up is not judged"
    assert judged.value == pytest.approx(1 / (judged.more["perplexity"] or 0))


def test_a_node_makes_the_same_of_a_text_that_it_is_sent(tmp_path: Path) -> None:
    (kept := tmp_path / "kept").mkdir()
    source = Source(kept, Limits())
    for one in loaded(tmp_path, "next-token", [1, 2, 3], [5]).inputs:
        number, made = source.add(one.message())
        assert max_abs_diff(made, one.tensors) == 0
        assert max_abs_diff(source.tensors(number), one.tensors) == 0
    message = one.message()
    message.text.length = 1 << 31
    with pytest.raises(UsageError, match="is no input of"):
        source.add(message)
    message.text.length, message.text.filler = 6, 1 << 31
    with pytest.raises(UsageError, match="filled up with tokens, not with 2147483648"):
        source.add(message)


def test_translations_are_judged_by_bleu(tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu")
    texts = [{"tokens": [1, 2, 3, 4, 5, 6], "target": [3, 4, 5, 6, 7]}] * 2
    model = loaded(tmp_path, "translation", *texts)
    right: Tensors = {"tokens": np.array([3, 4, 5, 6, 7, 0, 9])}
    wrong: Tensors = {"tokens": np.array([3, 4, 5, 6, 8, 0, 0])}
    judge = Judge(model, {0: right, 1: right})
    assert judge.has_truth and judge.whole.value == pytest.approx(1), "ends ahead of the first 0"
    judged = judge.judge({0: right, 1: wrong})
    assert judged.metric == "BLEU" and judged.value is not None and 0 < judged.value < 1
    assert judged.more["bleu"] == pytest.approx(100 * judged.value)


def test_rankings_are_judged_by_relevance(tmp_path: Path) -> None:
    relevance = [0] * VOCABULARY
    relevance[3], relevance[5] = 2, 1
    model = loaded(tmp_path, "ranking", {"tokens": [1], "relevance": relevance}, pooled=True)
    check_classes(model)
    best: Tensors = {"scores": np.array(relevance, np.float32)}
    worse: Tensors = {"scores": np.array(relevance, np.float32) * -1}
    judge = Judge(model, {0: best})
    assert judge.whole.metric == "NDCG" and judge.whole.value == pytest.approx(1)
    judged = judge.judge({0: worse})
    assert judged.more["mrr"] == pytest.approx(1 / (VOCABULARY - 1))
    assert judged.more["spearman"] == pytest.approx(-1)
    assert judged.drop is not None and judged.drop > 0
    with warnings.catch_warnings(action="error"):
        same = judge.judge({0: {"scores": np.ones(VOCABULARY, np.float32)}})
    assert same.more["spearman"] is None, "what does not vary has no order"


def test_relevance_of_other_candidates_is_refused_before_the_sweep(tmp_path: Path) -> None:
    model = loaded(tmp_path, "ranking", {"tokens": [1], "relevance": [0, 1]}, pooled=True)
    with pytest.raises(UsageError, match="relevance of 2 candidates: the model scores 12"):
        check_classes(model)
