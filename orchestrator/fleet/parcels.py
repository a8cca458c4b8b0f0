"""Files that travel: made into parcels here, unpacked there, each content once per machine.

FILE or FOLDER ──> Parcel: names and sha256 ──> files/SHA256 ──> parcels/SHA256/NAME
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from orchestrator.fleet.order import Blob, Parcel
from orchestrator.results.archive import sha256_of
from splitbed.errors import RunError, UsageError
from splitbed.media.files import is_there

Fetch = Callable[[str], bytes]
"""Gives the content that has a sha256."""

_PATHS = ("model", "weights", "device_model", "topology")
_SOURCES = ("input", "calibration")
_TRACE = "trace:"
TRAVELLING = (*_PATHS, *_SOURCES, "load")
"""The options that may name files."""


@dataclass
class Packed:
    """What is asked, with tokens in place of paths; the parcels they stand for, their files."""

    asked: dict[str, object]
    parcels: dict[str, Parcel] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    def add(self, path: Path) -> str:
        """Take in a file or folder; gives its token."""
        parcel, sources = parcel_of(path)
        self.parcels[parcel.token] = parcel
        self.files |= sources
        return parcel.token


def packed(asked: Mapping[str, object]) -> Packed:
    """All files that options name, as parcels; UsageError for one that cannot be read."""
    found = Packed(dict(asked))
    for name in _PATHS:
        word = asked.get(name)
        if isinstance(word, str) and is_there(word):
            found.asked[name] = found.add(Path(word))
    for name in _SOURCES:
        if isinstance(word := asked.get(name), str):
            words = [word] if is_there(word) else word.split(",")
            found.asked[name] = ",".join(_source(one.strip(), found) for one in words)
    loads = asked.get("load")
    if isinstance(loads, list):
        found.asked["load"] = [_load(str(word), found) for word in loads]
    return found


def _source(word: str, found: Packed) -> str:
    """``FOLDER:SEQUENCE``, too; a name of a dataset stays as it is."""
    if is_there(word):
        return found.add(Path(word))
    path, colon, part = word.rpartition(":")
    return f"{found.add(Path(path))}:{part}" if colon and is_there(path) else word


def _load(word: str, found: Packed) -> str:
    path = word.removeprefix(_TRACE)
    return _TRACE + found.add(Path(path)) if word != path and is_there(path) else word


def parcel_of(path: Path) -> tuple[Parcel, dict[str, Path]]:
    """A file with what lies beside it under its name, as boxes of a picture do; or a folder.

    And where each content is, by its sha256. Raises UsageError for what cannot be read.
    """
    top = path.resolve().parent
    name = path.resolve().name if path.is_dir() else path.name
    files, sources = {}, {}
    try:
        for inside, file in _files(path, top, name):
            files[inside] = blob = blob_of(file)
            sources[blob.sha256] = file
    except OSError as error:
        raise UsageError(
            f"{path} cannot be sent to other machines: {error.filename}: {error.strerror}"
        ) from None
    return Parcel(name=name, files=files), sources


def blob_of(file: Path) -> Blob:
    """What a file has in it; OSError."""
    return Blob(sha256=sha256_of(file), bytes=file.stat().st_size)


def _files(path: Path, top: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Each by its name in the parcel."""
    if path.is_file():
        yield name, path
        beside = [one for one in sorted(top.iterdir()) if one.stem == path.stem]
        beside = [one for one in beside if one.name != name] + [top / "classes.txt"]
    else:
        beside = [path.resolve()]
    for one in beside:
        found = sorted(one.rglob("*")) if one.is_dir() else [one]
        for file in found:
            if file.is_file():
                yield str(PurePosixPath(file.relative_to(top))), file


def unpacked(parcel: Parcel, folder: Path, fetch: Fetch) -> Path:
    """Where its file or folder is in the cache `folder`, brought there if it is not.

    Raises RunError for what is fetched and is not what it should be.
    """
    whole = folder / "parcels" / parcel.sha256
    if not whole.exists():
        draft = whole.with_name(f".{whole.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)  # of a process of that number that was killed
        for inside, blob in parcel.files.items():
            (target := draft / inside).parent.mkdir(parents=True, exist_ok=True)
            os.link(cached(blob, folder, fetch), target)
        try:
            draft.rename(whole)
        except OSError:  # another order was sooner
            shutil.rmtree(draft, ignore_errors=True)
    os.utime(whole)
    return whole / parcel.name


def cached(blob: Blob, folder: Path, fetch: Fetch) -> Path:
    """The file of a content in the cache, fetched where it is missing, or not of its size."""
    file = folder / "files" / blob.sha256
    if file.exists() and file.stat().st_size == blob.bytes:
        os.utime(file)
        return file
    content = fetch(blob.sha256)
    if len(content) != blob.bytes or hashlib.sha256(content).hexdigest() != blob.sha256:
        raise RunError(
            f"a file of {blob.bytes} bytes came as {len(content)} others: it was changed since the "
            "sweep began; begin anew"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(file)
    return file


def missing_bytes(parcels: Mapping[str, Blob], folder: Path) -> int:
    """What is still to be fetched of these."""
    there = folder / "files"
    return sum(one.bytes for one in parcels.values() if not (there / one.sha256).exists())
