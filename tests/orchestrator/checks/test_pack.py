"""Archives of runs: what they hold, and which of them are refused before a byte is written."""

import hashlib
import json
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.checks.compare import compare
from orchestrator.checks.pack import pack
from orchestrator.results.archive import CONFIG, MANIFEST, SCHEMA, extract
from orchestrator.results.reading import read
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import UsageError
from tests.orchestrator.commands import orchestrate
from tests.orchestrator.made_runs import made_run

LAUGHING = b"a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return made_run(tmp_path / "run")


def packed(run: RunFolder) -> Path:
    return pack(run.path, None, with_model=False, with_input=False)


def test_an_archive_is_read_as_its_run_is(run: RunFolder) -> None:
    folder, archive = read(run.path), read(packed(run))
    assert archive.rows == folder.rows
    assert {change.ratio for change in compare(folder, archive).changes} == {1.0}


def test_the_same_run_gives_the_same_bytes(run: RunFolder, tmp_path: Path) -> None:
    first = packed(run).read_bytes()
    (run.path / "cells.jsonl").touch()
    again = pack(run.path, tmp_path / "again.zip", with_model=False, with_input=False)
    assert again.read_bytes() == first


def test_the_manifest_tells_versions_and_the_hash_of_every_file(run: RunFolder) -> None:
    with zipfile.ZipFile(packed(run)) as archive:
        manifest = json.loads(archive.read(MANIFEST))
        assert manifest["files"].keys() == {*archive.namelist()} - {MANIFEST}
        for name, member in manifest["files"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == member["sha256"]
    assert {"run.json", "cells.jsonl", "samples.jsonl", "sweep.yaml"} <= manifest["files"].keys()
    assert manifest["versions"]["ue onnxruntime"] == "1.32.0"


def test_model_and_input_are_packed_when_asked_for(tmp_path: Path) -> None:
    model, pictures = tmp_path / "m.onnx", tmp_path / "pictures"
    model.write_bytes(b"model")
    (pictures / "more").mkdir(parents=True)
    (pictures / "more" / "p.png").write_bytes(b"picture")
    run = made_run(tmp_path / "run", run={"asked": {"model": str(model), "input": str(pictures)}})
    manifest = extract(
        pack(run.path, None, with_model=True, with_input=True), tmp_path / "unpacked"
    )
    assert (manifest.model, manifest.input) == ("model/m.onnx", "input")
    assert (tmp_path / "unpacked/input/more/p.png").read_bytes() == b"picture"


def test_a_model_of_the_zoo_is_named_and_not_packed(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", run={"asked": {"model": "ssd300"}})
    with pytest.raises(UsageError, match="ssd300, which is no file"):
        pack(run.path, None, with_model=True, with_input=False)


def test_an_archive_that_is_there_is_not_written_over(run: RunFolder) -> None:
    packed(run)
    done = orchestrate("pack", str(run.path))
    assert done.code == 2
    assert "is there already" in done.err


def test_what_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    (run.path / "cells.jsonl").unlink()
    (text := tmp_path / "notes.zip").write_text("no zip")
    for path, says in (
        (run.path, "has no cells.jsonl"),
        (tmp_path / "nothing", "is no run"),
        (text, "is no archive of a run"),
    ):
        done = orchestrate("compare", str(path), str(path))
        assert done.code == 2
        assert says in done.err


def test_a_cell_that_lacks_what_a_row_needs_is_left_out_and_named(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    cells = len(read(run.path).cells)
    run.append("cells.jsonl", b'{"key":"x","attempt":"x"}')
    found = read(run.path)
    assert len(found.rows) == cells
    (note,) = found.notes
    assert note.endswith(f"cells.jsonl, line {cells + 1}, is damaged and left out")


def test_a_run_with_a_damaged_line_is_read_and_the_line_is_named(run: RunFolder) -> None:
    with (run.path / "samples.jsonl").open("a") as file:
        file.write('{"attempt": "2:0", "fra')
    done = orchestrate("compare", str(run.path), str(run.path))
    assert done.code == 0
    assert "samples.jsonl, line 10, is damaged and left out" in done.out


Files = dict[str, bytes]


def archive_of(
    path: Path,
    files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """An archive whose manifest fits its files, but for what `manifest` says."""
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    }
    told = {"schema": SCHEMA, "versions": {}, "files": listed, **manifest}
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(MANIFEST, json.dumps(told))
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name", ["/etc/evil", "../evil", "a/../../evil", "..\\evil", "C:\\evil", "folder/", "."]
)
def test_a_path_that_leaves_the_folder_is_refused_and_nothing_written(
    tmp_path: Path, name: str
) -> None:
    archive = archive_of(tmp_path / "a.zip", {"run.json": b"{}", name: b"x"}, {})
    with pytest.raises(UsageError, match=r"would leave|is no plain file|has no name"):
        extract(archive, tmp_path / "in" / "out")
    assert not (tmp_path / "in").exists()


def linked(path: Path) -> None:
    """A symlink to /etc, and a file below it."""
    archive_of(path, {}, {})
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("etc")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
        archive.writestr("etc/evil", "x")


def named_twice(path: Path) -> None:
    archive_of(path, {"run.json": b"{}"}, {})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("run.json", "[]")


def huge(path: Path) -> None:
    """A file that says of itself that it has 4.2 GB."""
    archive_of(path, {"run.json": b"{}"}, {})
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 4_200_000_000)
    path.write_bytes(content)


def dense(path: Path) -> None:
    """A file of which there is a thousandth in the archive."""
    archive_of(path, {"run.json": b"[]," * 1_000_000}, {}, zipfile.ZIP_DEFLATED)


def talkative(path: Path) -> None:
    """A manifest that says more than its files take."""
    archive_of(path, {"run.json": b"{}"}, {"versions": {"python": "3" * 100_000}})


def unlisted(path: Path) -> None:
    archive_of(path, {"run.json": b"{}"}, {"files": {}})


def altered(path: Path) -> None:
    wrong = {"run.json": {"bytes": 2, "sha256": "0" * 64}}
    archive_of(path, {"run.json": b"{}"}, {"files": wrong})


def newer(path: Path) -> None:
    archive_of(path, {}, {"schema": SCHEMA + 1})


def without_manifest(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("run.json", "{}")


def naming_another_folder(path: Path) -> None:
    archive_of(path, {"run.json": b"{}"}, {"model": "../outside.onnx"})


def damaged_manifest(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, '{"schema": 1')


def truncated(path: Path) -> None:
    archive_of(path, {"run.json": b"{}" * 500}, {})
    path.write_bytes(path.read_bytes()[:-30])


def with_long_directory(path: Path) -> None:
    """Where its files are is said to be all of a file of zeros."""
    size = (32 << 20) + 1
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (with_long_directory, "a part of it has 33554433 bytes"),
        (linked, "is no plain file"),
        (named_twice, "several files of one name"),
        (huge, "would have 2 files of 4200 MB"),
        (dense, "over 100 times as large as in it"),
        (talkative, "has no manifest.json"),
        (unlisted, "not those that its manifest names"),
        (naming_another_folder, "which its manifest names"),
        (altered, "has not the sha256 of the manifest"),
        (newer, "newer Splitbed"),
        (without_manifest, "has no manifest.json"),
        (damaged_manifest, "manifest of .* is damaged"),
        (truncated, "is no archive of a run, or is damaged"),
    ],
)
def test_an_archive_that_is_not_what_it_should_be_is_refused_and_nothing_is_left(
    tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    make(archive := tmp_path / "a.zip")
    with pytest.raises(UsageError, match=says):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert orchestrate("replay", str(archive), "--out", str(tmp_path / "again")).code == 2
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (LAUGHING, "sweep.yaml is not YAML: line 2 has an alias"),
        (b"- a", "sweep.yaml is not a mapping"),
        (b"\xff", "cannot be run again"),
        (b"model: [" + b"x, " * 5_000 + b"]", "should be a valid string"),
        (b"model: shapesnet\nbw: " + b"y" * 100_000, "bw"),
    ],
    ids=["aliases", "a list", "no text", "long", "longer"],
)
def test_what_an_archive_asks_is_refused_in_a_line_before_anything_is_written(
    tmp_path: Path, asked: bytes, says: str
) -> None:
    archive = archive_of(tmp_path / "a.zip", {"run.json": b"{}", CONFIG: asked}, {})
    done = orchestrate("replay", str(archive), "--out", str(tmp_path / "again"))
    assert done.code == 2
    assert says in done.err
    assert len(done.err) < 3000
    assert not (tmp_path / "again").exists()
