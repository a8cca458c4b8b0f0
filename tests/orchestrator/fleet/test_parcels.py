"""Files travel once to each machine, and arrive as what they were."""

from pathlib import Path

import pytest

from orchestrator.fleet.parcels import packed, parcel_of, unpacked
from splitbed.errors import RunError


class Sent:
    """What is fetched of files, each time."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.files, self.names = files, list[str]()

    def fetch(self, sha256: str) -> bytes:
        self.names.append(sha256)
        return self.files[sha256].read_bytes()


def tree(path: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()
    }


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (folder := tmp_path / "pictures" / "cats").mkdir(parents=True)
    (folder / "a.png").write_bytes(b"one")
    (folder / "b.png").write_bytes(b"one")
    (folder.parent / "c.png").write_bytes(b"three")
    return folder.parent


def test_a_folder_comes_whole_and_each_content_once(pictures: Path, tmp_path: Path) -> None:
    parcel, files = parcel_of(pictures)
    sent, there = Sent(files), tmp_path / "there"
    for _ in range(2):
        found = unpacked(parcel, there, sent.fetch)
        assert found.name == "pictures"
        assert tree(found) == tree(pictures)
    assert sorted(sent.names) == sorted(files)
    assert len(files) == 2


def test_another_sweep_brings_what_has_changed_alone(pictures: Path, tmp_path: Path) -> None:
    parcel, files = parcel_of(pictures)
    unpacked(parcel, tmp_path / "there", Sent(files).fetch)
    (pictures / "c.png").write_bytes(b"another")
    parcel, files = parcel_of(pictures)
    sent = Sent(files)
    assert tree(unpacked(parcel, tmp_path / "there", sent.fetch)) == tree(pictures)
    assert len(sent.names) == 1


def test_a_file_brings_what_lies_beside_it_under_its_name(tmp_path: Path) -> None:
    for name in ("cat.png", "cat.txt", "dog.png"):
        (tmp_path / name).write_text(name)
    parcel, files = parcel_of(tmp_path / "cat.png")
    found = unpacked(parcel, tmp_path / "there", Sent(files).fetch)
    assert found.name == "cat.png"
    assert {*tree(found.parent)} == {"cat.png", "cat.txt"}


@pytest.mark.parametrize("changed", [b"tWo", b"longer"])
def test_what_has_changed_on_its_way_is_refused(tmp_path: Path, changed: bytes) -> None:
    (file := tmp_path / "m.onnx").write_bytes(b"two")
    parcel, _ = parcel_of(file)
    with pytest.raises(RunError, match="changed since the sweep began"):
        unpacked(parcel, tmp_path / "there", lambda _: changed)


def test_a_cut_off_file_of_the_cache_is_fetched_again(tmp_path: Path) -> None:
    (file := tmp_path / "m.onnx").write_bytes(b"content")
    parcel, files = parcel_of(file)
    (kept := tmp_path / "there/files").mkdir(parents=True)
    (kept / next(iter(files))).write_bytes(b"cont")
    assert unpacked(parcel, tmp_path / "there", Sent(files).fetch).read_bytes() == b"content"


def test_paths_in_what_is_asked_become_tokens_and_names_stay(pictures: Path) -> None:
    (times := pictures / "t.txt").write_text("0\n1\n")
    asked = {"model": "shapesnet", "input": str(pictures), "load": ["closed", f"trace:{times}"]}
    found = packed(asked | {"calibration": f"emblems,{pictures / 'cats'}", "codec": ["raw"]})
    tokens = {parcel.name: parcel.token for parcel in found.parcels.values()}
    assert found.asked == {
        "model": "shapesnet",
        "input": tokens["pictures"],
        "load": ["closed", f"trace:{tokens['t.txt']}"],
        "calibration": f"emblems,{tokens['cats']}",
        "codec": ["raw"],
    }
