"""The archive of a run: one zip whose manifest names every file in it, its size and its sha256.

Archives come from other people. Before a byte of one is written, its names must stay inside its
folder, its sizes be those of the manifest and within bounds; as it is written, its hashes are
compared.
"""

import hashlib
import io
import json
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pydantic import Field, ValidationError

from orchestrator.results.kinds import IN_TRANSIT
from splitbed.checked import MOST_BYTES, Frozen, one_line, yaml_mapping
from splitbed.errors import UsageError
from splitbed.media.files import opened

MANIFEST, CONFIG = "manifest.json", "sweep.yaml"
MODEL_FOLDER, INPUT_FOLDER = "model", "input"
SCHEMA = 1
MAX_BYTES = 4_000_000_000
"""What the files of an archive may have together, unpacked …"""
MAX_FILES = 200_000
"""… and how many there may be: a run of 1000 cells of 100 pictures has half as many."""
MANIFEST_BYTES, MEMBER_BYTES = 1 << 16, 400
"""What a manifest may have, and for each file that it names."""
MOST_DENSE, FEW_BYTES = 100, 1 << 20
"""How many times as large a file may be that is read, unpacked: those of runs, 5 to 20 times."""
MAX_DIRECTORY_BYTES = 32 << 20
"""What zipfile may read at once: it reads where all files are before it can be asked how many."""
CHUNK_BYTES = 1 << 20


class Member(Frozen):
    """One file of an archive."""

    bytes: int = Field(ge=0)
    sha256: str


class Manifest(Frozen):
    """What an archive says of itself; `model` and `input` are paths inside it, or None."""

    schema_: int = Field(alias="schema")
    versions: Mapping[str, str]
    model: str | None = None
    input: str | None = None
    files: Mapping[str, Member]


def read_config(archive: Path) -> dict[str, object]:
    """The options of the archive's sweep; UsageError for an archive that is unsafe or damaged."""
    with _opened(archive) as (opened, manifest):
        for kind in IN_TRANSIT:
            if kind.asked_file in manifest.files:
                kind.refuse(archive)
        if CONFIG not in manifest.files or manifest.files[CONFIG].bytes > MOST_BYTES:
            raise UsageError(f"{archive} cannot be run again: it has no {CONFIG}")
        try:
            return yaml_mapping(opened.read(CONFIG).decode(), CONFIG)
        except (UsageError, UnicodeDecodeError) as error:
            raise UsageError(f"{archive} cannot be run again: {error}") from None


def extract(archive: Path, folder: Path) -> Manifest:
    """Write the files of `archive` into the new `folder`.

    Raises UsageError for an archive that is unsafe or damaged, and leaves nothing of it.
    """
    with _opened(archive) as (opened, manifest):
        try:
            for name, member in manifest.files.items():
                _write(archive, opened, name, member, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return manifest


@contextmanager
def unpacked(run: Path) -> Iterator[Path]:
    """The folder of a run, which an archive is unpacked into while this is open.

    Raises UsageError as :func:`extract`.
    """
    if not run.is_file():
        yield run
        return
    with TemporaryDirectory(prefix="splitbed-archive-") as folder:
        extract(run, Path(folder))
        yield Path(folder)


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """The checked archive; what zipfile raises is told as UsageError."""
    try:
        with _Bounded(opened(archive).detach()) as file, zipfile.ZipFile(file) as archived:
            yield archived, _checked(archive, archived)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UsageError(
            f"{archive} is no archive of a run, or is damaged ({error}): have it sent again"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot unpack {archive}: {error.strerror or error}") from None


class _Bounded(io.BufferedReader):
    """A file of which nobody reads very much at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a part of it has {size} bytes")
        return super().read(size)


def _checked(archive: Path, opened: zipfile.ZipFile) -> Manifest:
    infos = {info.filename: info for info in opened.infolist()}
    if len(infos) < len(opened.infolist()):
        raise UsageError(f"{archive} is refused: it has several files of one name")
    for info in infos.values():
        if reason := _unsafe(info):
            raise UsageError(f"{archive} is refused: its member {info.filename!r} {reason}")
    if len(infos) > MAX_FILES or sum(info.file_size for info in infos.values()) > MAX_BYTES:
        raise UsageError(
            f"{archive} is refused: unpacked it would have {len(infos)} files of "
            f"{sum(info.file_size for info in infos.values()) / 1e6:.0f} MB; at most {MAX_FILES} "
            f"of {MAX_BYTES / 1e6:.0f} MB together are unpacked"
        )
    if dense := [name for name, info in infos.items() if _dense(info)]:
        raise UsageError(
            f"{archive} is refused: {dense[0]!r} is over {MOST_DENSE} times as large as in it"
        )
    manifest = _manifest(archive, opened, infos.pop(MANIFEST, None))
    named = {name: member.bytes for name, member in manifest.files.items()}
    if {name: info.file_size for name, info in infos.items()} != named:
        raise UsageError(
            f"{archive} is refused: its files are not those that its manifest names; "
            "have it packed again"
        )
    for path in (manifest.model, manifest.input):
        inside = path is None or any(name == path or name.startswith(f"{path}/") for name in named)
        if not inside or ".." in PurePosixPath(path or "").parts:
            raise UsageError(f"{archive} is refused: it has no {path!r}, which its manifest names")
    return manifest


def _unsafe(info: zipfile.ZipInfo) -> str | None:
    """Why a member must not be unpacked."""
    if not PurePosixPath(info.filename).parts:
        return "has no name"
    # before its separators were made those of this machine
    name, path = info.orig_filename, PurePosixPath(info.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        return "would leave the folder that it is unpacked into"
    if info.is_dir() or stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is no plain file"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in a way that archives of runs are not"
    return None


def _dense(info: zipfile.ZipInfo) -> bool:
    """Whether a file that is read makes too much of what it is in the archive."""
    read = PurePosixPath(info.filename).parts[0] not in (MODEL_FOLDER, INPUT_FOLDER)
    return read and info.file_size > max(FEW_BYTES, MOST_DENSE * info.compress_size)


def _manifest(archive: Path, opened: zipfile.ZipFile, info: zipfile.ZipInfo | None) -> Manifest:
    most = MANIFEST_BYTES + MEMBER_BYTES * len(opened.infolist())
    if info is None or info.file_size > most:
        raise UsageError(
            f"{archive} is no archive of a run: it has no {MANIFEST}; "
            "give one that `orchestrate pack` made"
        )
    try:
        content = dict(json.loads(opened.read(info)))
        if int(content.get("schema", 0)) > SCHEMA:
            raise UsageError(
                f"{archive} was made by a newer Splitbed: its manifest has schema "
                f"{content['schema']}, this one reads up to {SCHEMA}; install the newer one"
            )
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"the manifest of {archive} is damaged: {one_line(error)}") from None
    except (ValueError, TypeError, RecursionError):
        raise UsageError(f"the manifest of {archive} is damaged: have it packed again") from None


def _write(archive: Path, opened: zipfile.ZipFile, name: str, member: Member, folder: Path) -> None:
    """Write one file, and see that it is the one of the manifest; never more than its size."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(name) as source, target.open("xb") as sink:
        shutil.copyfileobj(source, sink, CHUNK_BYTES)
    if sha256_of(target) != member.sha256:
        raise UsageError(
            f"{archive} is damaged: {name} has not the sha256 of the manifest; have it sent again"
        )


def sha256_of(file: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with opened(file) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
