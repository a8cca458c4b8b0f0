"""The decoder in a process of its own."""

import errno
import os
import signal
from io import BufferedReader, BytesIO
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from splitbed import model_data
from splitbed.errors import MachineError, NodeError
from splitbed.model_coders.increments import alone, at, encoded, steps
from splitbed.model_coders.worker import Decoded, DecodingWorker, decode
from splitbed.model_data import digest, model_of, read_model, write_model
from splitbed.workers.fork_server import ending_fork_server
from splitbed.workers.worker import WALL
from tests.model_coders.coding import STATE, coded, cut, decoded, weights

LARGE = {"weight": weights(2048, 1024)}


def through_worker(stream: bytes, path: Path, **limits: float | Path) -> Decoded:
    with DecodingWorker(path, **limits) as worker:  # type: ignore[arg-type]
        for chunk in cut(stream, 100_000):
            worker.feed(chunk)
        return worker.finish()


def test_the_file_is_that_of_the_state_that_was_sent(tmp_path: Path) -> None:
    path, stream = tmp_path / "model.safetensors", coded("int8+zstd")
    done = through_worker(stream, path)
    model = decoded([stream])
    assert done.digest == digest(read_model(path).state) == digest(model.state)
    assert done.sha256 == write_model(model, tmp_path / "here.safetensors")
    assert done.file_bytes == path.stat().st_size
    assert done.decode_ms > 0
    assert [file.name for file in tmp_path.iterdir() if "coming" in file.name] == []


def test_a_model_larger_than_the_workers_memory_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    state = {f"layer{place}": weights(1024, 1024, seed=place) for place in range(12)}
    done = through_worker(coded("int8+zstd", state), path, memory_bytes=32 << 20)
    assert done.file_bytes > 48e6


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"memory_bytes": 1 << 20}, "needs more than 1048576 bytes of memory"),
        ({"most_bytes": 5_000_000}, "there is room for 5000000"),
    ],
)
def test_a_worker_at_a_limit_is_refused_and_the_model_before_stays(
    limits: dict[str, int], said: str, tmp_path: Path
) -> None:
    with ending_fork_server():
        pass  # what another left unused would be room for it
    path = tmp_path / "model.safetensors"
    before = write_model(model_of(STATE), path)
    with pytest.raises(NodeError, match=said):
        through_worker(coded("dummy", LARGE), path, **limits)
    assert write_model(read_model(path), tmp_path / "again") == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again", "model.safetensors"]


def test_an_update_may_take_what_its_base_needs(tmp_path: Path) -> None:
    model = model_of(LARGE)
    coarse, update = steps((8, 16))
    base, path = tmp_path / "base.safetensors", tmp_path / "model.safetensors"
    write_model(decoded([b"".join(encoded(model, coarse))]), base)
    stream = b"".join(encoded(model, update))
    done = through_worker(stream, path, memory_bytes=2 << 20, update_of=base)
    at_once = decoded([b"".join(encoded(model, alone((8, 16), -1)))])
    assert done.sha256 == write_model(at_once, tmp_path / "at_once.safetensors")


def test_an_update_is_decoded_in_less_memory_than_its_model_is_large(tmp_path: Path) -> None:
    with ending_fork_server():
        pass  # what another had imported would count
    weight = weights(1024, 1024)
    names = [f"weight{place}" for place in range(11)]
    graph = onnx.helper.make_graph([], "weights", [], [])
    graph.initializer.extend(numpy_helper.from_array(weight, name) for name in names)
    onnx.save(onnx.helper.make_model(graph), tmp_path / "model.onnx")
    model = read_model(tmp_path / "model.onnx")
    base, path = tmp_path / "base.onnx", tmp_path / "fine.onnx"
    write_model(at(model, 8, 8), base)
    done = through_worker(b"".join(encoded(model, "update:8:16")), path, update_of=base)
    assert done.sha256 == write_model(at(model, 16, 8), tmp_path / "at_once.onnx")
    assert done.peak_bytes < 1.3 * done.file_bytes


def test_a_base_that_cannot_be_read_is_told_before_anything_comes(tmp_path: Path) -> None:
    (base := tmp_path / "base.safetensors").write_bytes(b"no model")
    with (
        pytest.raises(MachineError, match=r"ended at its start.*base\.safetensors"),
        DecodingWorker(tmp_path / "model", update_of=base),
    ):
        pass
    assert [*tmp_path.iterdir()] == [base]


def test_what_cannot_be_read_is_not_told_as_what_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(model_data, "read_model", broken)
    paths = {name: str(tmp_path / name) for name in ("path", "outline", "beside")}
    with pytest.raises(OSError, match="beside"):
        decode({"most_bytes": 1, "update_of": None, **paths}, BufferedReader(BytesIO()), print)


def test_a_worker_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitbed.workers.worker.GRACE_S", 0)
    with DecodingWorker(tmp_path / "model", seconds=0.2) as worker:
        os.kill(worker.pid, signal.SIGSTOP)
        with pytest.raises(NodeError, match=f"took over {WALL * 0.2:g} s"):
            worker.finish()
    assert not list(tmp_path.iterdir())


def test_a_bitstream_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="ends with 6 of its 7 tensors whole"):
        through_worker(coded("dummy")[:-1], tmp_path / "model")
    assert not list(tmp_path.iterdir())
