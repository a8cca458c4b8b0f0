"""Archives: whole or not at all, and nothing outside the folder."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from splitbed.errors import UsageError
from splitbed.media.unpack import unpack


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def test_a_zip_and_a_tar_are_unpacked_into_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    unpack(zipped(tmp_path / "a.zip", {"val/1.txt": b"one"}), out)
    unpack(tarred(tmp_path / "b.tgz", (member("labels/1.txt"), b"two")), out)
    files = {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert files == {"val/1.txt": b"one", "labels/1.txt": b"two"}


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    archives = [
        zipped(tmp_path / "a.zip", {"good": b"", name: b"x"}),
        tarred(tmp_path / "a.tar", (member("good"), b""), (member(name), b"x")),
    ]
    for archive in archives:
        with pytest.raises(UsageError, match="would leave the folder"):
            unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = tarred(tmp_path / "a.tar", (member("out", kind, "/etc"), b""))
    with pytest.raises(UsageError, match="'out' is a link or a device"):
        unpack(archive, tmp_path / "out")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(UsageError, match="'link' is a link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_more_than_the_limit_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"zeros": bytes(3_000_000)})
    with pytest.raises(UsageError, match="more than 2 MB"):
        unpack(archive, tmp_path / "out", max_bytes=2_000_000)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    with pytest.raises(UsageError, match="val is there already"):
        unpack(zipped(tmp_path / "a.zip", {"val/1.txt": b"one"}), tmp_path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"val": bytes(range(256)) * 40})
    data = bytearray(path.read_bytes())
    data[40:60] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"cannot unpack .*a\.zip"):
        unpack(path, tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(UsageError, match="it is no zip or tar file"):
        unpack(path, tmp_path / "out")
