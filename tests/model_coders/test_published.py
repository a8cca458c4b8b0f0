"""A class of the published scripts decodes what crossed: in a process, or not at all."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import MachineError, NodeError
from splitbed.model_coders import coder_named
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.published import Options, carrying, coder_class
from splitbed.model_coders.worker import DecodingWorker
from splitbed.model_data import ModelFile, model_of, read_model
from splitbed.model_data.state import StateModel

NAME = "tests.model_coders.halving:Halves"


def coded(folder: Path) -> tuple[ModelFile, bytes]:
    model = model_of({"weight": np.arange(1000, dtype=np.float32).reshape(10, 100)})
    bit = folder / "given.bit"
    opts = Options(NAME, file_names={"bit": str(bit), "dec": ""})
    coder_class(NAME)(opts).encode(StateModel(model))
    return model, b"".join(carrying(model, bit))


def decoded(stream: bytes, path: Path, name: str = NAME) -> Mapping[str, np.ndarray]:
    with DecodingWorker(path, most_bytes=1 << 20, kind=name) as worker:
        worker.feed(stream)
        done = worker.finish()
    assert done.peak_bytes > 0
    return read_model(path).state


def test_a_class_decodes_in_a_process_of_its_own(tmp_path: Path) -> None:
    model, stream = coded(tmp_path)
    made = decoded(stream, tmp_path / "came.safetensors")
    np.testing.assert_array_equal(made["weight"], model.state["weight"].astype(np.float16))
    assert {file.name for file in tmp_path.iterdir()} == {"given.bit", "came.safetensors"}


@pytest.mark.parametrize("damage", ["short", "flipped", "another"])
def test_what_is_damaged_or_of_another_coder_is_refused_and_the_model_stays(
    tmp_path: Path, damage: str
) -> None:
    model, stream = coded(tmp_path)
    (before := tmp_path / "came.safetensors").write_bytes(b"the one before")
    streams = {
        "short": stream[:-10],
        "flipped": stream[:-10] + bytes([stream[-10] ^ 1]) + stream[-9:],
        "another": b"".join(encode(model, coder_named("int8"))),
    }
    with pytest.raises(NodeError, match=r"get the rest|is not what was encoded|another coder's"):
        decoded(streams[damage], before)
    assert before.read_bytes() == b"the one before"


def test_a_bitstream_that_is_gone_is_told(tmp_path: Path) -> None:
    model, _ = coded(tmp_path)
    with pytest.raises(NodeError, match=r"gone\.bit: No such file or directory; have it made"):
        carrying(model, tmp_path / "gone.bit")


def test_a_class_that_ends_its_process_or_is_not_here_is_told(tmp_path: Path) -> None:
    _, stream = coded(tmp_path)
    with pytest.raises(NodeError, match="died of the bitstream"):
        decoded(stream, tmp_path / "came.safetensors", NAME.replace("Halves", "Ends"))
    with pytest.raises(NodeError, match=r"it needs more than \d+ bytes of memory"):
        decoded(stream, tmp_path / "came.safetensors", NAME.replace("Halves", "Large"))
    assert {file.name for file in tmp_path.iterdir()} == {"given.bit"}
    with pytest.raises(MachineError, match="cannot import the coder"):
        decoded(stream, tmp_path / "came.safetensors", "no_such_module:Coder")
