"""Where a model begins to choose, and that a codec is fitted to what it chooses from."""

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.calibration import calibrate
from orchestrator.testbed.model import load_model
from splitbed.graphs.chosen import before_choice
from splitbed.graphs.formats import load_graph
from tests.graphs import models

CUT = 2


def choosing() -> onnx.ModelProto:
    """What :func:`models.chain` gives, and of it where it is not 0: as many places as there are."""
    proto = models.chain()
    proto.graph.node.append(models.node("NonZero", "y", "places"))
    proto.graph.node.append(models.node("Cast", "places", "chosen", to=onnx.TensorProto.FLOAT))
    proto.graph.output[0].CopyFrom(models.model([], {}, {"chosen": [4, None]}).graph.output[0])
    return proto


def test_it_is_the_cut_before_the_first_choice_else_the_end(tmp_path: Path) -> None:
    graph = load_graph(models.save(choosing(), tmp_path / "choosing.onnx"))
    (place,) = (layer.index for layer in graph.layers if layer.op == "NonZero")
    for k in range(graph.n + 1):
        assert before_choice(graph, k) == (place if k < place else graph.n)
    joined = replace(graph.layers[1], op="Cast+TopK+Gather")
    assert before_choice(replace(graph, layers=(graph.layers[0], joined)), 0) == 1
    without = load_graph(models.save(models.chain(), tmp_path / "chain.onnx"))
    assert before_choice(without, 0) == without.n


def test_of_a_model_that_chooses_a_codec_is_fitted_to_what_it_chooses_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITBED_CACHE", str(tmp_path / "cache"))
    tables = []
    for name, proto in (("choosing", choosing()), ("chain", models.chain())):
        file = models.save(proto, tmp_path / f"{name}.onnx")
        config = sweep_config({"model": str(file), "runs": 3})
        model = load_model(config, tmp_path / name)
        tables.append(calibrate(config, model, [(CUT, "klt:100")]).known.tables)
    assert tables[0] == tables[1] != {}
