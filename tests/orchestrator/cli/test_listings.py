"""What `orchestrate splits`, `features`, `datasets` and `codecs` show."""

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from splitbed.media.datasets import catalogue
from tests.graphs import models
from tests.orchestrator.commands import orchestrate


def model_file(folder: Path, *, wide: int = 0, deep: int = 0) -> str:
    """A model of `wide` branches that are summed, and of `deep` layers in a row behind them."""
    branches = [models.node("Relu", "x", f"b{i}") for i in range(wide)]
    summed = models.node("Sum", " ".join(["x", *(f"b{i}" for i in range(wide))]), "r0")
    row = [models.node("Relu", f"r{i}", f"r{i + 1}") for i in range(deep)]
    proto = models.model([*branches, summed, *row], {"x": [1, 8]}, {f"r{deep}": [1, 8]})
    return str(models.save(proto, folder / "model.onnx"))


def test_a_list_of_cuts_names_the_first_of_many_tensors_and_that_of_one_cut_all(
    tmp_path: Path,
) -> None:
    file = model_file(tmp_path, wide=20)
    listed = {cut["split"]: cut for cut in json.loads(orchestrate("splits", file, "--json").out)}
    assert listed["20:1"]["tensors"] == 21
    assert listed["20:1"]["crossing"].endswith("b14 FP32[1, 8] and 5 more")
    assert listed["3:18"]["crossing"].endswith("b2 FP32[1, 8]")
    (alone,) = json.loads(orchestrate("splits", file, "--split", "20:1", "--json").out)
    assert alone["crossing"].endswith("b19 FP32[1, 8]")


def test_a_long_list_of_cuts_has_a_line_for_each(tmp_path: Path) -> None:
    heading, *lines = orchestrate("splits", model_file(tmp_path, deep=1100)).out.splitlines()
    assert heading.split()[:2] == ["split", "name"]
    assert [line.split()[0] for line in lines] == [f"{k}:{1101 - k}" for k in range(1, 1101)]


def a_cut() -> str:
    """One of the model's cuts as k:n-k."""
    listed: list[dict[str, str]] = json.loads(orchestrate("splits", "shapesnet", "--json").out)
    return listed[2]["split"]


def test_a_mosaic_is_painted_of_each_tensor_that_crosses(tmp_path: Path) -> None:
    out = tmp_path / "maps"
    listed = json.loads(orchestrate("splits", "shapesnet", "--json").out)
    cut = max(listed, key=lambda one: int(one["tensors"]))
    words = ["--model", "shapesnet", "--split", cut["split"], "--out", str(out), "--json"]
    done = orchestrate("features", *words)
    assert done.code == 0, done.err
    lines = json.loads(done.out)
    assert len(lines) == cut["tensors"] == len(list(out.iterdir()))
    for line in lines:
        assert line["min"] <= line["max"]
        height, width = map(int, line["shape"].split("x")[-2:])
        with Image.open(out / line["file"]) as mosaic:
            assert mosaic.width > width
            assert mosaic.height > height


def test_several_frames_are_painted_in_folders_of_their_own(tmp_path: Path) -> None:
    words = ["--model", "shapesnet", "--split", a_cut(), "--frames", "2"]
    done = orchestrate("features", *words, "--out", str(tmp_path / "maps"))
    assert done.code == 0, done.err
    folders = sorted((tmp_path / "maps").iterdir())
    assert [folder.name for folder in folders] == ["000000.png", "000001.png"]
    first, second = (next(folder.iterdir()).read_bytes() for folder in folders)
    assert first != second


def test_what_a_codec_loses_is_painted_beside_each_map(tmp_path: Path) -> None:
    out = tmp_path / "maps"
    words = ["--model", "shapesnet", "--split", "stage2", "--out", str(out), "--json"]
    lines = json.loads(orchestrate("features", *words, "--codec", "int4+zstd").out)
    painted = [out / line["file"] for line in lines]
    assert sorted(out.iterdir()) == sorted(
        path.with_stem(f"{path.stem}{what}")
        for path in painted
        for what in ("", "-decoded", "-lost")
    )
    for line in lines:
        assert 0 < line["rms lost"] < line["most lost"] < line["max"] - line["min"]
        assert line["kbit"] > 0


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ("all", "name one of them"),
        ("first", "but the input crosses"),
        ("last", "but the result crosses"),
        ("x", "unknown"),
    ],
)
def test_features_are_of_one_cut_within_the_model(tmp_path: Path, split: str, says: str) -> None:
    n = sum(map(int, a_cut().split(":")))
    named = {"first": f"0:{n}", "last": f"{n}:0"}.get(split, split)
    out = tmp_path / "maps"
    done = orchestrate("features", "--model", "shapesnet", "--split", named, "--out", str(out))
    assert done.code == 2
    assert says in done.err
    assert not out.exists()


def test_feature_maps_are_never_painted_over(tmp_path: Path) -> None:
    (tmp_path / "kept.png").write_text("kept")
    done = orchestrate(
        "features", "--model", "shapesnet", "--split", a_cut(), "--out", str(tmp_path)
    )
    assert done.code == 2
    assert "not an empty folder" in done.err


def test_codecs_tell_which_are_lossless_and_which_need_calibration() -> None:
    listed = {one["codec"]: one for one in json.loads(orchestrate("codecs", "--json").out)}
    assert listed["zstd"]["lossless"] == "yes"
    assert listed["int8"]["lossless"] == "no"
    assert listed["int8"]["calibrated"] == "yes"


def test_datasets_tell_which_are_here_and_how_to_get_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITBED_DATA", str(tmp_path))
    for folder in ("JPEGImages", "Annotations"):
        (tmp_path / "voc2007/VOCdevkit/VOC2007" / folder).mkdir(parents=True)
    listed = {one["dataset"]: one for one in json.loads(orchestrate("datasets", "--json").out)}
    assert [listed[name]["here"] for name in ("shapes", "voc2007", "coco-val2017")] == [
        "yes", "yes", "no",
    ]  # fmt: skip
    assert str(tmp_path / "voc2007") in listed["voc2007"]["how"]
    assert "orchestrate datasets --get coco-val2017" in listed["coco-val2017"]["how"]
    assert "http" in listed["sfu-hw-objects"]["how"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A dataset `two` in the catalogue, whose archive has no hash; the archive's own."""
    monkeypatch.setenv("SPLITBED_DATA", str(tmp_path / "data"))
    served = tmp_path / "served"
    served.mkdir()
    Image.new("RGB", (8, 8)).save(served / "a.png")
    with zipfile.ZipFile(served / "two.zip", "w") as packed:
        packed.write(served / "a.png", "two/a.png")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(served))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/two.zip"
        known = catalogue.KnownDataset(
            "two", "two pictures", "none", "ours", "http://example.org", "unpack it",
            archives=(catalogue.Archive(url, mb=1, gives="two"),), needs=("two",),
        )  # fmt: skip
        monkeypatch.setitem(catalogue.CATALOGUE, "two", known)
        yield hashlib.sha256((served / "two.zip").read_bytes()).hexdigest()
        server.shutdown()
        thread.join()


def test_a_dataset_is_fetched_and_where_it_lies_is_told(archive: str, tmp_path: Path) -> None:
    done = orchestrate("datasets", "--get", "two", "--sha256", archive)
    assert done.code == 0, done.err
    assert (tmp_path / "data/two/two/a.png").is_file()
    assert "--input two" in done.out
    assert "MB" in done.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give its sha256"),
        (["--sha256", "0" * 64], "sha256"),
        (["--sha256", "0" * 64, "--sha256", "0" * 64], "as many hashes"),
    ],
)
@pytest.mark.usefixtures("archive")
def test_an_archive_of_another_hash_or_of_none_is_refused(
    tmp_path: Path, words: list[str], says: str
) -> None:
    done = orchestrate("datasets", "--get", "two", *words)
    assert done.code != 0
    assert says in done.err
    assert not (tmp_path / "data/two/two").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--get", "none"], "known are: shapes"),
        (["--get", "sfu-hw-objects"], "JVET"),
        (["--unchecked"], "--get NAME"),
    ],
)
def test_what_cannot_be_got_is_refused_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.setenv("SPLITBED_DATA", str(tmp_path))
    done = orchestrate("datasets", *words)
    assert done.code == 2
    assert says in done.err
