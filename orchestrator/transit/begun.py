"""A run of models in transit begun, gone on with, stopped: the same of each kind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec.structs import replace

from orchestrator.measure.conditions import COMPARABLE, now
from orchestrator.results.archive import sha256_of
from orchestrator.results.facts import CodedFacts, Conditions
from orchestrator.results.kinds import Kind, TransitRecord, read_transit_record
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import RunError, SplitbedError, UsageError

_TOLD = ("model", "input", "weights", "device_model", "topology", "out")
"""Options whose files are compared by what they lead to, or are each machine's own."""
_NOT_COMPARED = ("config", "out", "out_dir")
"""Options of a sweep, which are compared one by one; and where the run is, which may be moved."""


def begin(folder: RunFolder, kind: Kind, fresh: TransitRecord, *, coded: bool) -> None:
    """Write what a new run is asked; of one that goes on, that it does.

    UsageError where that is not as it began, by what models were `coded`, too, where some were.
    """
    record = fresh = replace(fresh, files={**_files(fresh), **fresh.files})
    if kind.is_in(folder.path):
        before = read_transit_record(folder.path, kind)
        _check(folder, [*_others(before, fresh, coded=coded)])
        record = replace(before, coded=fresh.coded, resumed=(*before.resumed, now()))
    folder.replace(kind.asked_file, record.json(indent=2))


def measure_under(folder: RunFolder, kind: Kind, conditions: Conditions, *, anew: bool) -> None:
    """Write under which conditions is measured; UsageError where others, not anew, were others."""
    record = read_transit_record(folder.path, kind)
    if anew:
        told = replace(record, conditions=conditions).json(indent=2)
        folder.replace(kind.asked_file, told)
        return
    before = record.conditions
    _check(folder, [one for one in COMPARABLE if getattr(before, one) != getattr(conditions, one)])


@contextmanager
def going_on(
    write: Callable[[], None], command: str, told: Callable[[str], None], kept: Callable[[], bool]
) -> Iterator[None]:
    """Write the table in the end, and tell how to go on with what is stopped.

    Not of a UsageError, which would come again. Whether anything was `kept` is told, too.
    """
    try:
        yield
    except (SplitbedError, KeyboardInterrupt) as stopped:
        with suppress(RunError):  # which is what stopped it, then
            write()
        if not isinstance(stopped, UsageError):
            told(f"{'what was measured is kept; ' if kept() else ''}go on with: {command}")
        raise
    write()


def _files(record: TransitRecord) -> dict[str, str]:
    """By the options of a sweep that name a file, the sha256 of what is in it."""
    named = {name: Path(value) for name, value in record.config.items() if isinstance(value, str)}
    return {
        name: sha256_of(file)
        for name, file in named.items()
        if name not in _TOLD and file.is_file()
    }


def _check(folder: RunFolder, others: list[str]) -> None:
    if others:
        raise UsageError(
            f"cannot resume {folder.path}, these have changed since: {', '.join(others)}; "
            "start a new one"
        )


def _others(before: TransitRecord, fresh: TransitRecord, *, coded: bool) -> Iterator[str]:
    """What of a run is not as it began; of what `coded` models, too, where rows are there."""
    if before.model != fresh.model:
        yield "the model or its inputs"
    # an earlier version did not know all options of today: it had their usual values
    for one, other in ((before.asked, fresh.asked), (before.config, fresh.config)):
        names = sorted((one.keys() & other.keys()).difference(_NOT_COMPARED))
        yield from (f"option {name}" for name in names if one[name] != other[name])
    for name in sorted(before.files.keys() & fresh.files.keys()):
        if before.files[name] != fresh.files[name]:
            yield f"what is in the file of option {name}"
    for name in CodedFacts.__struct_fields__ if coded else ():
        if getattr(before.coded, name) != getattr(fresh.coded, name):
            yield name
