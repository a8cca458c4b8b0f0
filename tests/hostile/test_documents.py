"""Texts, sounds, pictures and records of strangers without end: refused, in few words."""

import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.adapt.named import bandwidth_trace
from orchestrator.ask.load import load_named
from orchestrator.ask.topology import load_topology
from orchestrator.measure.calibration.record import read_calibration
from orchestrator.plan.benchmark_csv import read_operators
from orchestrator.plan.nodes import read_nodes
from orchestrator.results.archive import extract
from splitbed.command import run_command_line
from splitbed.errors import RunError, UsageError
from splitbed.graphs.formats import load_graph
from splitbed.media import pictures
from splitbed.media.datasets import open_dataset, texts
from splitbed.media.datasets.frames import picture_size
from splitbed.media.pictures import upright
from splitbed.media.recipes import SoundRecipe
from splitbed.media.sounds import preprocess
from splitbed.media.unpack import unpack
from splitbed.model_data import read_model
from splitbed.security.access import read_token
from splitbed.tasks.boxes import read_boxes
from splitbed.zoo.checkpoints import read as read_state
from tests.orchestrator.made_runs import made_run

MOST_WORDS = 1000


def refused(call: Callable[[], object]) -> str:
    """Why, which is short, however long what is refused."""
    with pytest.raises((UsageError, RunError)) as told:
        call()
    assert len(str(told.value)) < MOST_WORDS
    return str(told.value)


def rows(file: Path, count: int) -> Path:
    np.save(file, np.ones((count, 1), np.uint8))
    return file


def lines(file: Path, count: int) -> Path:
    file.write_text("[1]\n" * count)
    return file


@pytest.mark.parametrize(("name", "made"), [("a.npy", rows), ("a.jsonl", lines)])
def test_a_file_has_as_many_texts_as_a_node_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, made: Callable[[Path, int], Path]
) -> None:
    monkeypatch.setattr(texts, "MOST_TEXTS", 5)
    assert len(open_dataset(made(tmp_path / name, 5)).frames) == 5
    assert "more than 5 texts" in refused(lambda: open_dataset(made(tmp_path / name, 6)))


def test_a_text_is_cut_into_as_many_frames_as_a_node_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "MOST_TEXTS", 5)
    (tmp_path / "a.txt").write_text("a" * 7)
    dataset = open_dataset(tmp_path / "a.txt")
    assert len(texts.fitted(dataset, 3).frames) == 3
    assert "more than 5 texts" in refused(lambda: texts.fitted(dataset, 2))


@pytest.mark.parametrize("datatype", ["|S0", "|V0"])
def test_an_array_of_values_without_bytes_is_refused(tmp_path: Path, datatype: str) -> None:
    """A billion of them are in a file of 200 bytes."""
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        array, {"descr": datatype, "fortran_order": False, "shape": (10**9,)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("tokens.npy", array.getvalue())
    assert "over 16 MiB" in refused(lambda: open_dataset(tmp_path / "a.npz"))


def test_what_else_is_in_a_text_is_told_in_short(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({f"key-{n}": 1 for n in range(1000)}))
    assert "'key-0', 'key-1'" in refused(lambda: open_dataset(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.npz", "a.json", "a.png", "a.mp4"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "no plain file" in refused(lambda: open_dataset(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a.onnx", load_graph),
        ("a.tflite", load_graph),
        ("a.onnx", read_model),
        ("a.safetensors", read_model),
        ("a.npz", read_state),
        ("a.yaml", load_topology),
        ("a.yaml", lambda pipe: bandwidth_trace(str(pipe))),
        ("a.csv", lambda pipe: bandwidth_trace(str(pipe))),
        ("a.txt", lambda pipe: load_named(f"trace:{pipe}")),
        ("a.txt", lambda pipe: read_boxes(pipe, scored=False)),
        ("a.csv", read_operators),
        ("a.json", read_nodes),
        ("a.zip", lambda pipe: extract(pipe, pipe.parent / "out")),
        ("a.tar", lambda pipe: unpack(pipe, pipe.parent / "out")),
        ("token", read_token),
    ],
)
def test_no_file_that_somebody_names_is_waited_for(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    (tmp_path / "endless").mkdir()
    os.mkfifo(tmp_path / name)
    (endless := tmp_path / "endless" / name).symlink_to("/dev/zero")
    for place in (tmp_path / name, endless):
        refused(lambda place=place: read(place))  # type: ignore[misc]


def wave(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


FORMAT = (b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16))
SAMPLES = (b"data", bytes(16))


def test_nobody_looks_for_samples_behind_endless_chunks() -> None:
    recipe = SoundRecipe(8, 8000)
    assert preprocess(wave((b"LIST", b"at"), FORMAT, SAMPLES), recipe, "hush").shape == (1, 8)
    endless = wave(FORMAT, *[(b"LIST", b"")] * 10_000, SAMPLES)
    assert "too many chunks" in refused(lambda: preprocess(endless, recipe, "hush"))


@pytest.mark.parametrize("form", ["AU", "MAT5", "MP3", "OGG", "RF64", "VOC"])
def test_no_decoder_but_those_named_sees_a_sound(form: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(8000), 8000, format=form)
    why = refused(lambda: preprocess(sound.getvalue(), SoundRecipe(8000, 8000), "hush"))
    assert "neither WAV nor FLAC" in why


def test_no_decoder_but_those_named_is_even_loaded() -> None:
    script = """if True:
        import sys
        import numpy as np
        from splitbed.codecs.pictures.stills import _AvifWriter
        from splitbed.errors import UsageError
        from splitbed.media.pictures import upright
        for data in (b"GIF89a", b"RIFF    WEBPVP8 ", b"II*" + bytes(64)):
            try:
                upright(data, "dot")
            except UsageError:
                print("refused", "PIL.WebPImagePlugin" in sys.modules)
        grey = np.zeros((64, 64, 1), np.uint8)
        print(bool(_AvifWriter(grey.shape, 50, "420", 8).write(grey)))
        print("PIL.TiffImagePlugin" in sys.modules)
    """
    said = subprocess.check_output([sys.executable, "-c", script], text=True).split("\n")
    assert said == ["refused False", "refused True", "refused True", "True", "False", ""]


def encoded(form: str, **options: bool) -> bytes:
    Image.new("RGB", (8, 8)).save(file := io.BytesIO(), form, **options)
    return file.getvalue()


def drawn(data: bytes) -> object:
    return upright(data, "dot").convert("RGB").size


def scans(more: int) -> bytes:
    """A progressive JPEG whose last scan comes so often once more."""
    data = encoded("JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + more * last + data[-2:]


def chunks(more: int) -> bytes:
    """A PNG with so many chunks of nothing."""
    data, name = encoded("PNG"), b"teSt"
    place = data.index(b"IDAT") - 4
    return data[:place] + more * (bytes(4) + name + zlib.crc32(name).to_bytes(4)) + data[place:]


def test_a_picture_in_endless_pieces_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_MOST_READS", 1000)
    assert drawn(scans(20)) == drawn(chunks(20)) == (8, 8)
    assert "very many scans" in refused(lambda: drawn(scans(200)))
    assert "very many pieces" in refused(lambda: drawn(chunks(1000)))
    (tmp_path / "dot.png").write_bytes(chunks(1000))
    assert "very many pieces" in refused(lambda: picture_size(tmp_path / "dot.png"))
    assert "very many pieces" in refused(lambda: drawn(b"P6" + b" " * 5000 + b"8 8 255 "))
    assert "it is text" in refused(lambda: drawn(b"P2 8 8 255\n" + b"#\n" * 5000))


@pytest.mark.parametrize("form", ["PNG", "BMP"])
def test_a_large_picture_without_patterns_is_not_taken_for_one_of_many_scans(form: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1600, 1600, 3), np.uint8)
    Image.fromarray(noise).save(file := io.BytesIO(), form, compress_level=0)
    assert file.getvalue().count(b"\xff\xda") > 100
    assert drawn(file.getvalue()) == (1600, 1600)


def test_a_trace_of_empty_lines_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"\n" * (size := 1 << 18))
    tracemalloc.start()
    try:
        assert "has no times" in refused(lambda: load_named(f"trace:{tmp_path / 't.txt'}"))
        assert tracemalloc.get_traced_memory()[1] < (16 << 20) + 10 * size
    finally:
        tracemalloc.stop()


def test_a_traces_name_has_no_depth(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(f"# trace {'[' * 100_000}\n0\n1\n")
    assert load_named(f"trace:{tmp_path / 't.txt'}").words.startswith("trace:t.txt@")


@pytest.mark.parametrize("text", ["9" * 5000, "x" * 5000, "0 " + "9" * 5000, "1 2 " * 5000])
def test_a_long_line_of_a_recording_is_told_in_short(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.txt").write_text(text + "\n")
    assert "t.txt" in refused(lambda: bandwidth_trace(str(tmp_path / "t.txt")))


def test_an_endless_recording_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "t.txt").open("wb") as file:
        file.truncate(1 << 40)
    assert "over 64 MiB" in refused(lambda: bandwidth_trace(str(tmp_path / "t.txt")))


def test_a_topology_has_as_many_links_as_can_be_up(tmp_path: Path) -> None:
    def written(count: int) -> Path:
        """A line of nodes, each of which dials the next."""
        nodes = [f"n{number}" for number in range(count + 1)]
        links = {f"l{number}": {"ends": list(ends)} for number, ends in enumerate(pairwise(nodes))}
        told = json.dumps({"name": "line", "nodes": nodes, "links": links})
        (tmp_path / "line.yaml").write_text(told)
        return tmp_path / "line.yaml"

    assert len(load_topology(written(64)).links) == 64
    assert "at most 64" in refused(lambda: load_topology(written(65)))


def test_calibration_that_is_nested_without_end_is_damage(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    (tmp_path / "calibration.json").write_text("[" * 100_000)
    assert "calibration cannot be read" in refused(lambda: read_calibration(run, None))


@pytest.mark.parametrize("name", ["../run.json", "/etc/hostname", "traces"])
def test_a_runs_trace_is_found_by_its_hash_alone(tmp_path: Path, name: str) -> None:
    asked = {"model": "m.onnx", "bw": [8], "load": ["trace:t.txt"]}
    run = made_run(tmp_path, run={"asked": asked, "traces": {"trace:t.txt": name}})
    assert "no traces are called" in refused(run.loads_kept)


def test_where_memory_ends_a_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    def greedy() -> None:
        raise MemoryError

    with pytest.raises(SystemExit) as ended:
        run_command_line(greedy)
    assert (ended.value.code, "error: memory ended" in capsys.readouterr().err) == (3, True)
