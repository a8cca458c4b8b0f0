"""Downloads over a real connection that is cut, and from servers that know no ranges."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from splitbed.errors import RunError, UsageError
from splitbed.media.datasets import catalogue
from splitbed.media.datasets.catalogue import Archive, KnownDataset
from splitbed.media.download import fetch

DATA = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(DATA).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Serves ``DATA`` in the way that the first part of the path says."""

    protocol_version = "HTTP/1.1"
    data = DATA
    etag = '"1"'
    cuts: ClassVar[list[int]] = []
    """Bytes after which each coming answer is cut."""
    sent: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        way = self.path.split("/")[1]
        if way == "gone":
            return self.send_error(404)
        if way == "away":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/val.zip")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        ranged = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", self.etag) == self.etag
        start = int(ranged[1]) if ranged and same and way != "plain" else 0
        if start >= len(self.data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.data)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            last = len(self.data) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(self.data)}")
        self.send_header("Content-Length", str(len(self.data) - start))
        self.send_header("ETag", self.etag)
        self.end_headers()
        body = self.data[start:]
        part = body[: self.cuts.pop(0)] if self.cuts else body
        self.sent.append(len(part))
        self.wfile.write(part)
        self.close_connection = len(part) < len(body)
        return None

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[Server]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def handler() -> type[Server]:
    return type("Own", (Server,), {"cuts": [], "sent": []})


@pytest.fixture
def url(handler: type[Server]) -> Iterator[str]:
    with serving(handler) as address:
        yield address


def test_a_file_arrives_under_its_name_and_says_how_far_it_is(url: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(f"{url}/x/val.zip", tmp_path, SHA256, progress=lambda *at: seen.append(at))
    assert path == tmp_path / "val.zip"
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert [p.name for p in tmp_path.iterdir()] == ["val.zip"]


def test_a_cut_connection_is_an_error_and_the_next_call_goes_on(
    url: str, tmp_path: Path, handler: type[Server]
) -> None:
    handler.cuts.append(300_000)
    with pytest.raises(RunError, match=r"cut after 0\.3 of 1\.0 MB .*run the same again"):
        fetch(f"{url}/x/val.zip", tmp_path, SHA256)
    assert not (tmp_path / "val.zip").exists()
    assert fetch(f"{url}/x/val.zip", tmp_path, SHA256).read_bytes() == DATA
    assert handler.sent == [300_000, len(DATA) - 300_000]


def test_a_server_without_ranges_sends_it_all_again(
    url: str, tmp_path: Path, handler: type[Server]
) -> None:
    handler.cuts.append(300_000)
    with pytest.raises(RunError):
        fetch(f"{url}/plain/val.zip", tmp_path, SHA256)
    assert fetch(f"{url}/plain/val.zip", tmp_path, SHA256).read_bytes() == DATA
    assert handler.sent == [300_000, len(DATA)]


def test_a_file_that_changed_meanwhile_is_fetched_anew(
    url: str, tmp_path: Path, handler: type[Server]
) -> None:
    handler.cuts.append(300_000)
    with pytest.raises(RunError):
        fetch(f"{url}/x/val.zip", tmp_path)
    handler.data, handler.etag = DATA[::-1], '"2"'
    assert fetch(f"{url}/x/val.zip", tmp_path).read_bytes() == DATA[::-1]


def test_a_part_that_is_complete_only_gets_its_name(
    url: str, tmp_path: Path, handler: type[Server]
) -> None:
    (tmp_path / "val.zip.part").write_bytes(DATA)
    assert fetch(f"{url}/x/val.zip", tmp_path, SHA256).read_bytes() == DATA
    assert handler.sent == []


def test_a_part_longer_than_the_file_is_thrown_away(url: str, tmp_path: Path) -> None:
    (tmp_path / "val.zip.part").write_bytes(DATA + b"more")
    assert fetch(f"{url}/x/val.zip", tmp_path, SHA256).read_bytes() == DATA


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_wrong_hash_keeps_nothing_and_names_both(url: str, tmp_path: Path, kind: str) -> None:
    real = hashlib.new(kind, DATA).hexdigest()
    wrong = real[::-1]
    with pytest.raises(UsageError, match=f"its {kind} is {real}, expected was {wrong}"):
        expected = {"sha256": None, "md5": None, kind: wrong}
        fetch(f"{url}/x/val.zip", tmp_path, expected["sha256"], expected["md5"])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_checked_and_not_fetched(
    url: str, tmp_path: Path, handler: type[Server]
) -> None:
    (tmp_path / "val.zip").write_bytes(b"other")
    with pytest.raises(UsageError, match=r"remove .*val\.zip to fetch it again"):
        fetch(f"{url}/x/val.zip", tmp_path, SHA256)
    assert (tmp_path / "val.zip").read_bytes() == b"other"
    assert handler.sent == []


def test_a_missing_file_is_named_with_the_servers_answer(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone/val\.zip: the server says 404"):
        fetch(f"{url}/gone/val.zip", tmp_path)


def test_a_redirect_away_from_http_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"ftp://127\.0\.0\.1/val\.zip: expected a URL that begins"
    ):
        fetch(f"{url}/away/val.zip", tmp_path)


@pytest.mark.parametrize("name", ["..%2F..%2Fval.zip", "..", "", ".profile", "a%00b"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="does not end in the name of a file"):
        fetch(f"http://127.0.0.1:9/x/{name}", tmp_path)


@pytest.mark.parametrize("url", ["ftp://host/a.zip", "file:///etc/passwd", "a.zip", "http:///a"])
def test_only_http_is_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="expected a URL that begins with https or http"):
        fetch(url, tmp_path)


def test_no_connection_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot reach http://127\.0\.0\.1:9/val\.zip"):
        fetch("http://127.0.0.1:9/val.zip", tmp_path)


def two(url: str, sha256: str | None) -> KnownDataset:
    return KnownDataset(
        name="tiny", title="", truth="", terms="", page="", steps="", needs=("a", "b"),
        archives=tuple(
            Archive(f"{url}/{name}/{name}.zip", mb=1, gives=name, sha256=sha256) for name in "ab"
        ),
    )  # fmt: skip


def test_a_dataset_is_got_and_an_archive_that_is_unpacked_is_not_fetched_again(
    url: str, tmp_path: Path, handler: type[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.media.test_unpack import zipped

    monkeypatch.setenv("SPLITBED_DATA", str(tmp_path))
    handler.data = zipped(tmp_path / "b.zip", {"b/1.txt": b"1"}).read_bytes()
    (tmp_path / "tiny/a").mkdir(parents=True)
    tiny = two(url, hashlib.sha256(handler.data).hexdigest())
    assert not tiny.present
    assert catalogue.get(tiny) == tmp_path / "tiny"
    assert tiny.present
    assert sorted(p.name for p in (tmp_path / "tiny").iterdir()) == ["a", "b"]


def test_an_archive_without_a_known_hash_needs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITBED_DATA", str(tmp_path))
    with pytest.raises(UsageError, match=r"no hash of .* is known: give its sha256"):
        catalogue.get(two("http://127.0.0.1:9", None))


def test_every_dataset_can_be_got_or_says_how() -> None:
    for known in catalogue.CATALOGUE.values():
        assert known.steps
        assert known.terms
        assert known.embedded or known.page.startswith("http")
        assert all(archive.sha256 or archive.md5 for archive in known.archives)
