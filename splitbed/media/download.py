"""Files from the web: resumable, and checked before they get their name."""

import http.client
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from splitbed.errors import MachineError, RunError, UsageError
from splitbed.media.files import hash_file

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and how many there will be where the server says so."""

TIMEOUT_S = 30.0
BLOCK_BYTES = 1 << 18
SCHEMES = ("http", "https")
NOT_SATISFIABLE = http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: http.client.HTTPMessage, newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    url: str,
    folder: Path,
    sha256: str | None = None,
    md5: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download ``url`` into ``folder`` under the URL's last name; the file's path.

    What has come is kept as ``NAME.part`` when the connection is cut, and the next call goes on
    from there, if the server can and has the same file still. A file that is already there is
    checked and not fetched again. Nothing has the final name before size and hashes are right.

    Raises:
        UsageError: no http(s) URL, none that ends in a file name; the server lacks it or refuses;
            a hash that is not that of the file.
        MachineError: the folder cannot be written, or the disk has no room.
        RunError: no connection, or one that was cut: call it again.
    """
    _check_scheme(url)
    final = folder / _name(url)
    part = final.with_name(f"{final.name}.part")
    expected = {"sha256": sha256, "md5": md5}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not final.exists():
            _complete(url, part, progress)
            _check_hashes(part, url, expected)
            part.replace(final)
            _validator(part).unlink(missing_ok=True)
        else:
            _check_hashes(final, url, expected)
    except OSError as error:
        raise MachineError(f"cannot save {url} as {final}: {error.strerror or error}") from error
    return final


def _complete(url: str, part: Path, progress: Progress | None) -> None:
    """Make ``part`` hold all of the file."""
    if not _go_on(url, part, progress):
        part.unlink()  # it is of another file: begin again
        _go_on(url, part, progress)


def _go_on(url: str, part: Path, progress: Progress | None) -> bool:
    """Fetch what ``part`` lacks; False where what it holds cannot be of this file."""
    have = part.stat().st_size if part.exists() else 0
    with _request(url, have, _validator(part)) as response:
        start, total = _range(response)
        if response.status == NOT_SATISFIABLE or start not in (0, have):
            return have == total
        _check_room(url, part, start, total)
        _validator(part).write_text(response.headers.get("ETag", ""))
        cut = _receive(response, part, start, total, progress)
    have = part.stat().st_size
    if cut or have != (total or have):
        of = f" of {total / 1e6:.1f}" if total is not None else ""
        raise RunError(
            f"the connection to {urllib.parse.urlsplit(url).netloc} was cut after"
            f" {have / 1e6:.1f}{of} MB of {url}: run the same again to go on from there"
            + (f" ({cut})" if cut else "")
        )
    return True


def _check_room(url: str, part: Path, start: int, total: int | None) -> None:
    room = shutil.disk_usage(part.parent).free
    if total is not None and total - start > room:
        raise MachineError(
            f"cannot download {url}: {(total - start) / 1e6:.0f} MB are to come, and"
            f" {part.parent} has room for {room / 1e6:.0f} MB"
        )


def _receive(
    response: http.client.HTTPResponse, part: Path, start: int, total: int | None,
    progress: Progress | None,
) -> str:  # fmt: skip
    """Write what comes from ``start`` on; why it ended before its time, where that is known."""
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        while True:
            try:
                block = response.read(BLOCK_BYTES)
            except (http.client.HTTPException, OSError) as error:
                return str(error) or type(error).__name__
            if not block:
                return ""
            file.write(block)
            if progress:
                progress(file.tell(), total)


def _request(url: str, have: int, validator: Path) -> http.client.HTTPResponse:
    headers = {"User-Agent": "splitbed", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator.exists() and (etag := validator.read_text()) and not etag.startswith("W/"):
            headers["If-Range"] = etag
    opener = urllib.request.build_opener(_Redirects)
    try:
        response = opener.open(
            urllib.request.Request(url, headers=headers),  # noqa: S310 - http(s), checked
            timeout=TIMEOUT_S,
        )
    except urllib.error.HTTPError as error:
        if error.code == NOT_SATISFIABLE and have:
            return error  # type: ignore[return-value]  # it has what is used of a response
        raise _refused(url, error) from None
    except (http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise RunError(f"cannot reach {url}: {reason}; is this machine online?") from None
    assert isinstance(response, http.client.HTTPResponse)
    return response


def _refused(url: str, error: urllib.error.HTTPError) -> UsageError | RunError:
    with error:
        said = f"{url}: the server says {error.code} {error.reason}"
    if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return RunError(f"cannot download {said}; try again later")
    return UsageError(f"cannot download {said}; look for where the file is now")


def _range(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Where the bytes that come begin, and how many there are in all, where that is said."""
    if response.status == http.HTTPStatus.OK:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    given = response.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (?:(\d{1,18})-\d+|\*)/(?:(\d{1,18})|\*)", given)
    if found is None:
        raise RunError(f"cannot download {response.url}: it answered {response.status} {given!r}")
    return int(found[1] or 0), None if found[2] is None else int(found[2])


def _check_hashes(file: Path, url: str, expected: dict[str, str | None]) -> None:
    found = hash_file(file)
    for kind, wanted in expected.items():
        if wanted is None or found[kind] == wanted.lower():
            continue
        said = f"remove {file} to fetch it again"
        if file.suffix == ".part":
            file.unlink()
            _validator(file).unlink(missing_ok=True)
            said = "nothing was kept"
        raise UsageError(
            f"{url} is not the expected file: its {kind} is {found[kind]}, expected was"
            f" {wanted.lower()}; {said}"
        )


def _validator(part: Path) -> Path:
    """Holds the ETag of the file that ``part`` is of."""
    return part.with_name(f"{part.name}.etag")


def _check_scheme(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise UsageError(f"cannot download {url}: expected a URL that begins with https or http")


def _name(url: str) -> str:
    name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
    if not name or name.startswith(".") or any(mark in name for mark in "/\\\0"):
        raise UsageError(f"cannot download {url}: it does not end in the name of a file")
    return name
