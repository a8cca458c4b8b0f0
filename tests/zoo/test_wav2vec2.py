"""Speech recognisers of clause 10.1: torchaudio's networks, under its names, to its numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import safetensors.numpy

from splitbed.errors import UsageError
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import Part, extract, store
from splitbed.graphs.splits import resolve
from splitbed.runtime.session import PartSession
from splitbed.zoo import ZOO, Variant
from splitbed.zoo.layers import Floats
from splitbed.zoo.wav2vec2.catalogue import RECOGNISERS
from splitbed.zoo.wav2vec2.graph import to_onnx
from splitbed.zoo.wav2vec2.layout import BASE, DIRECTION, GAIN, LAYOUTS, POSITIONS, Layout
from splitbed.zoo.wav2vec2.model import build, drawn, folded

PLAIN = Layout(
    "small", 32, 2, 4, 64, per_frame=False, norm_first=False, channels=24, positions=16, groups=4
)
NORMED = replace(PLAIN, per_frame=True, norm_first=True)
SAMPLES = 4000
SIXTH_FRAME = {
    PLAIN: [
        -1.91451, -0.43013, 0.71955, -0.30751, 1.07563, 0.42924, 1.25228, 0.46925, -0.48517,
        -1.72488, 1.91487, 1.10509, -1.24917, 0.47053, -0.01642, -0.68953, 0.20366, -0.74273,
        0.15273, -0.28049, 0.80472, -0.81519, 0.233, -1.74012, -1.73315, 1.02407, -2.20397,
        1.61638, 1.33241,
    ],
    NORMED: [
        -1.70738, -0.30838, -0.79243, 0.86793, -0.26086, -0.93811, -0.76047, 0.06171, 0.43789,
        -0.6227, -0.29358, 1.2806, -1.53912, 1.20225, 1.10139, -0.16437, 1.03092, -1.42281,
        1.08610, 1.2107, 1.83647, -0.37736, 0.09385, -0.53313, -0.46831, 0.36957, -1.96902,
        -1.51733, 0.22318,
    ],
}  # fmt: skip
"""What torchaudio 2.11 makes of :func:`waveform` with weights drawn of seed 3."""


def waveform() -> Floats:
    rng = np.random.Generator(np.random.PCG64(7))
    return np.asarray(rng.integers(-128, 128, (1, SAMPLES)) / 128, np.float32)


def logits_of(file: bytes, wave: Floats) -> Floats:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    found: Floats = session.run(["logits"], {"waveform": wave})[0]
    return found


@pytest.mark.parametrize("layout", SIXTH_FRAME, ids=["group norm", "layer norm"])
def test_logits_are_those_of_torchaudio(layout: Layout) -> None:
    file = to_onnx(layout, folded(drawn(layout.shapes, 3)), "drawn").SerializeToString()
    logits = logits_of(file, waveform())
    assert logits.shape == (1, layout.frames(SAMPLES), 29)
    assert np.abs(logits[0, 5] - SIXTH_FRAME[layout]).max() < 1e-4


@pytest.mark.parametrize("layout", SIXTH_FRAME, ids=["group norm", "layer norm"])
def test_every_logit_is_torchaudios_where_that_is_installed(layout: Layout) -> None:
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchaudio.models")
    state = drawn(layout.shapes, 5)
    theirs = models.wav2vec2_model(
        "layer_norm" if layout.per_frame else "group_norm",
        [(layout.channels, *one) for one in zip(layout.kernels, layout.strides, strict=True)],
        False, layout.width, 0.0, layout.positions, layout.groups, layout.layers, layout.heads,
        0.0, layout.inner, 0.0, 0.0, layout.norm_first, 0.0, 29,
    ).eval()  # fmt: skip
    theirs.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(waveform()))[0].numpy()
    logits = logits_of(to_onnx(layout, folded(state), "drawn").SerializeToString(), waveform())
    assert np.abs(logits - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "millions", "mbit"), [("wav2vec2-base", 94.4, 3021), ("hubert-large", 315.5, 10_095)]
)
def test_anchor_models_are_as_large_as_clause_10_1_4_says(
    name: str, millions: float, mbit: int
) -> None:
    assert round(LAYOUTS[name].parameters / 1e6, 1) == millions
    assert round(LAYOUTS[name].parameters * 32 / 1e6) == mbit


@pytest.mark.parametrize("name", RECOGNISERS)
def test_the_zoo_tells_how_many_parameters_there_are(name: str) -> None:
    assert ZOO[name].parameters == LAYOUTS[name].parameters


def test_a_checkpoint_of_older_names_and_of_32_labels_is_the_same_model(tmp_path: Path) -> None:
    state = drawn(PLAIN.shapes, 3)
    older = {
        {GAIN: f"{POSITIONS}.weight_g", DIRECTION: f"{POSITIONS}.weight_v"}.get(name, name): values
        for name, values in state.items()
    }
    for name in ("aux.weight", "aux.bias"):  # <s>, </s> and <unk> follow the blank
        older[name] = np.insert(state[name], [1] * 3, 9, axis=0)
    files = tmp_path / "new.safetensors", tmp_path / "old.npz"
    safetensors.numpy.save_file(state, files[0])
    np.savez(files[1], allow_pickle=False, **older)
    first, second = (logits_of(build(PLAIN, weights=file)[0], waveform()) for file in files)
    assert np.array_equal(first, second)
    assert np.abs(first[0, 5] - SIXTH_FRAME[PLAIN]).max() < 1e-4


def test_a_checkpoint_of_another_size_is_refused_and_every_misfit_named(tmp_path: Path) -> None:
    file = tmp_path / "small.safetensors"
    safetensors.numpy.save_file(drawn(PLAIN.shapes, 3), file)
    with pytest.raises(UsageError, match=r"missing: encoder\.transformer\.layers\.2\.attention"):
        build(BASE, weights=file)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_named_splits_are_cuts_of_the_graph(name: str, tmp_path: Path) -> None:
    layout = replace(  # fewer numbers, the same nodes
        LAYOUTS[name], width=32, inner=16, heads=4, channels=8, positions=8, groups=4
    )
    file = tmp_path / "narrow.onnx"
    file.write_bytes(to_onnx(layout, folded(drawn(layout.shapes, 0)), "").SerializeToString())
    graph = load_graph(file, {"waveform": (1, SAMPLES)})
    named = ZOO[name].named_splits
    cuts = [cut for split in named for cut in resolve(graph, split, named)]
    assert len(cuts) == len(named)
    assert [len(graph.cuts[cut.k].tensors) for cut in cuts] == [1] * len(cuts)
    assert sorted(cuts, key=lambda cut: cut.k) == cuts


def test_two_parts_give_what_the_whole_gives(tmp_path: Path) -> None:
    file = tmp_path / "small.onnx"
    file.write_bytes(to_onnx(PLAIN, folded(drawn(PLAIN.shapes, 3)), "").SerializeToString())
    stored = store(load_graph(file, {"waveform": (1, SAMPLES)}), tmp_path)
    (cut,) = resolve(stored.graph, "/feature_extractor/Transpose:after", {})
    one, two = extract(stored, cut.k)
    crossed = opened(one).run({"waveform": waveform()})
    logits = opened(two).run(crossed)["logits"]
    whole = logits_of(file.read_bytes(), waveform())
    assert np.allclose(logits, whole, rtol=0, atol=1e-5)


def opened(part: Part) -> PartSession:
    return PartSession(part.path, part.inputs, part.outputs, part.passthrough)


def test_seeded_weights_are_named_as_such() -> None:
    assert build(PLAIN, seed=4)[1] == "seeded (seed 4)"
    assert build(PLAIN, seed=4)[0] == build(PLAIN, seed=4)[0] != build(PLAIN, seed=5)[0]


def test_a_graph_that_is_only_looked_at_has_zeros() -> None:
    file, origin = ZOO["wav2vec2-base"].build(Variant("onnx", seed=None))
    assert origin == "zeros"
    assert len(file) == pytest.approx(94_393_245 * 4, rel=1e-3)
