"""Packs a run into one archive, for somebody else to check it and run it again.

    manifest.json   what is in it, sizes and sha256     sweep.yaml   the options of a sweep
    run.json, samples.jsonl, cells.jsonl, summary.csv, profile.json, predictions/ …, or what
                    a run of models in transit wrote
    model/, input/  the files themselves, where asked for; else their hashes are those of run.json

The same run gives the same bytes.
"""

import hashlib
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import yaml

from orchestrator.results.archive import (
    CHUNK_BYTES,
    CONFIG,
    INPUT_FOLDER,
    MANIFEST,
    MAX_BYTES,
    MAX_FILES,
    MODEL_FOLDER,
    SCHEMA,
    Manifest,
    Member,
    sha256_of,
)
from orchestrator.results.facts import Conditions
from orchestrator.results.kinds import IN_TRANSIT, kind_in, read_transit_record, transit_folder
from orchestrator.results.reading import sweep_folder
from orchestrator.results.run_folder import SCENARIO_FILE, RunFolder
from splitbed.errors import RunError, UsageError

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can tell


def pack(run: Path, out: Path | None, *, with_model: bool, with_input: bool) -> Path:
    """Write the archive of a run, by default ``RUN.zip``; gives its path.

    Raises UsageError for a folder that is no run, for what is asked for and is no file, and for an
    archive that is there already; RunError when the disk is full.
    """
    folder = transit_folder(run) or sweep_folder(run)
    asked, conditions, config = _told(folder)
    files = dict(_of_run(folder))
    packed: dict[str, str] = {}
    if with_model:
        packed["model"] = _add(files, MODEL_FOLDER, _file(asked, "model", "--with-model"))
    if with_input:
        packed["input"] = _add(files, INPUT_FOLDER, _file(asked, "input", "--with-input"))
    if len(files) > MAX_FILES or sum(f.stat().st_size for f in files.values()) > MAX_BYTES:
        raise UsageError(
            f"{run} is too much for an archive, which has at most {MAX_FILES} files of "
            f"{MAX_BYTES / 1e6:.0f} MB together: pack it without its input or model"
        )
    target = out or run.resolve().with_name(f"{run.resolve().name}.zip")
    _write(target, files, packed, _versions(conditions), config)
    return target


def _told(folder: Path) -> tuple[Mapping[str, object], Conditions, bytes | None]:
    """What was asked, where it was measured, and the options of a sweep as YAML."""
    kind = kind_in(folder)
    if kind in IN_TRANSIT:
        record = read_transit_record(folder, kind)
        return record.options, record.conditions, None
    run = RunFolder(folder).read_run()
    return run.asked, run.conditions, _config(run.asked)


def _of_run(folder: Path) -> Iterator[tuple[str, Path]]:
    """What a sweep wrote, and the scenario that it belongs to."""
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)  # drafts, and the lock
        if file.is_file() and not file.is_symlink() and not hidden:
            yield str(name), file
    if (above := folder.parent / SCENARIO_FILE).is_file():
        yield SCENARIO_FILE, above


def _config(asked: Mapping[str, object]) -> bytes:
    """The options as YAML; where it was written and run is the other side's own."""
    own = ("out", "topology")
    options = {key: value for key, value in asked.items() if key not in own and value is not None}
    return yaml.safe_dump(options, sort_keys=False).encode()


def _versions(facts: Conditions) -> dict[str, str]:
    """What ran: versions of packages on both nodes, Python, kernel, commit."""
    plain = {key: str(getattr(facts, key)) for key in ("python", "kernel", "os", "git_commit")}
    for side, node in (("ue", facts.ue), ("edge", facts.edge)):
        plain |= {f"{side} {name}": value for name, value in node.packages.items()}
    return plain | {"packed by splitbed": version("splitbed")}


def _file(asked: Mapping[str, object], name: str, option: str) -> Path:
    path = Path(str(asked.get(name) or ""))
    if not asked.get(name) or not path.exists():
        raise UsageError(
            f"{option}: the {name} of that sweep was {asked.get(name) or 'the usual one'}, which "
            "is no file here; without it, the archive names it by its hash"
        )
    return path


def _add(files: dict[str, Path], folder: str, path: Path) -> str:
    """Take in a file, or a folder with all that it has; gives its name in the archive."""
    if path.is_file():
        files[f"{folder}/{path.name}"] = path
        return f"{folder}/{path.name}"
    for file in sorted(path.rglob("*")):
        if file.is_file():
            files[f"{folder}/{file.relative_to(path)}"] = file
    return folder


def _write(
    target: Path,
    files: Mapping[str, Path],
    packed: Mapping[str, str],
    versions: Mapping[str, str],
    config: bytes | None,
) -> None:
    if target.exists():
        raise UsageError(f"{target} is there already: choose another --out")
    draft = target.with_name(f".{target.name}.draft")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(draft, "w") as archive:
            listed = {} if config is None else {CONFIG: _member(config)}
            listed |= {
                name: Member(bytes=file.stat().st_size, sha256=sha256_of(file))
                for name, file in files.items()
            }
            manifest = Manifest(schema=SCHEMA, versions=versions, **packed, files=listed)
            text = manifest.model_dump_json(indent=1, by_alias=True, exclude_none=True) + "\n"
            archive.writestr(_info(MANIFEST), text)
            if config is not None:
                archive.writestr(_info(CONFIG), config)
            for name, file in files.items():
                info = _info(name)
                info.file_size = file.stat().st_size  # or what is over 2 GB would be refused
                with file.open("rb") as source, archive.open(info, "w") as sink:
                    shutil.copyfileobj(source, sink, CHUNK_BYTES)
        draft.replace(target)
    except OSError as error:
        raise RunError(f"cannot write {target}: {error.strerror}; choose another --out") from None
    finally:
        draft.unlink(missing_ok=True)


def _member(data: bytes) -> Member:
    return Member(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _info(name: str) -> zipfile.ZipInfo:
    """A member whose bytes do not tell when, or by whom, it was packed."""
    info = zipfile.ZipInfo(name, _LONG_AGO)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info
