"""Runs the sweep of an archive again: the same model and inputs, by their hashes; options, order.

OUT/archive/   what the archive holds     OUT/sweep/   the run made here
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.measure import sweep
from orchestrator.measure.watcher import Watcher
from orchestrator.reports.html import leave_report
from orchestrator.results.archive import extract, read_config
from orchestrator.results.facts import ModelFacts
from orchestrator.results.judgement.verdict import SweepOutcome
from orchestrator.results.reading import SWEEP_FOLDER
from orchestrator.results.records import CellRecord
from orchestrator.results.run_folder import RunFolder, check_free, runs_folder
from orchestrator.testbed.local import local_model
from orchestrator.testbed.site import checked_site
from splitbed.errors import SplitbedError, UsageError

ARCHIVE_FOLDER = "archive"
OWN = ("weights", "calibration")
"""Files of the other side that have to be here, too; those of model and input may be packed."""


@dataclass(frozen=True)
class ArchivedSweep:
    """A sweep to run again, in the folder that its archive was unpacked into."""

    folder: Path
    config: SweepConfig

    @property
    def crosscheck(self) -> str:
        """The command that holds the new run against the old."""
        return f"orchestrate crosscheck {self.folder / ARCHIVE_FOLDER} {self.folder / SWEEP_FOLDER}"


def begin(archive: Path, out: Path | None, options: Mapping[str, object]) -> ArchivedSweep:
    """Unpack and check an archive; `options` replace those of its sweep.

    Raises UsageError for an archive that is unsafe or damaged, for a model or inputs that are not
    the archive's, and for what cannot be run here.
    """
    asked = read_config(archive)
    stem = f"replay-{archive.stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder = out or runs_folder() / stem
    check_free(folder)
    # before anything is written, as the command may start anew here
    checked_site(_config(asked, {**_any_loads(asked), **options}), several=True)
    unpacked = folder / ARCHIVE_FOLDER
    manifest = extract(archive, unpacked)
    try:
        if "topology" not in options:
            _check_ues(archive, asked, RunFolder(unpacked).cells())
        packed = {"model": manifest.model, "input": manifest.input}
        files = {name: str(unpacked / path) for name, path in packed.items() if path}
        own = {**files, **RunFolder(unpacked).loads_kept(), **options}
        config = _config(asked, {**own, "out": folder / SWEEP_FOLDER})
        then = RunFolder(unpacked).read_run().model
        _check_same(archive, then, _facts(config))
    except SplitbedError:
        shutil.rmtree(unpacked)
        raise
    return ArchivedSweep(folder, config)


def run(archived: ArchivedSweep, progress: Watcher) -> SweepOutcome:
    """Run the sweep. Raises SplitbedError for what stops it before the first cell."""
    archive = archived.folder / ARCHIVE_FOLDER
    return leave_report(sweep.run(archived.config, progress, dials=archive))


def _config(asked: Mapping[str, object], options: Mapping[str, object]) -> SweepConfig:
    """The archive's options, and those given here over them."""
    for name in OWN:
        named = asked.get(name) if name not in options else None
        # of a dataset, SOURCE:PART, whoever opens it says what is not here
        if named and ":" not in str(named) and not Path(str(named)).exists():
            raise UsageError(
                f"that sweep had --{name} {asked[name]}, which is not here: give --{name} FILE"
            )
    # whom to measure on, and where to write, is the business of this side alone
    merged = {**asked, "topology": None, "out": None, **options}
    return sweep_config({name: value for name, value in merged.items() if value is not None})


def _any_loads(asked: Mapping[str, object]) -> dict[str, list[str]]:
    """Any load for a trace, until the archive that keeps it is unpacked."""
    loads = asked.get("load")
    if not isinstance(loads, list):
        return {}
    traced = (str(one).strip().startswith("trace:") for one in loads)
    told = zip(loads, traced, strict=True)
    return {"load": ["poisson:1" if trace else str(one) for one, trace in told]}


def _facts(config: SweepConfig) -> ModelFacts:
    """What identifies the model and inputs that would be used here."""
    try:
        with local_model(config) as local:
            return local.model.facts
    except UsageError as error:
        raise UsageError(
            f"{error}; what an archive does not hold is given as --model, --input or --weights"
        ) from None


def _check_same(archive: Path, then: ModelFacts, now: ModelFacts) -> None:
    """Raise UsageError unless the model and inputs have the hashes that the archive tells."""
    if then.sha256 != now.sha256:
        raise UsageError(
            f"the model here is not that of {archive}: sha256 {now.sha256}, not {then.sha256}; "
            "give its file as --model (or --weights), or have it packed with --with-model"
        )
    if _identities(then) != _identities(now):
        names = ", ".join(one.name for one in then.inputs[:5])
        raise UsageError(
            f"the inputs here are not those of {archive}, which begin with {names}; give them as "
            "--input, or have them packed with --with-input"
        )


def _check_ues(archive: Path, asked: Mapping[str, object], cells: Iterable[CellRecord]) -> None:
    """UsageError where its UEs were not so many alike: what was their own is not in it."""
    for cell in cells:
        own = {replace(one, name="") for one in cell.ues}
        if cell.ues and (len(own) > 1 or not asked.get("ues")):
            names = ", ".join(one.name for one in cell.ues)
            raise UsageError(
                f"the UEs of {archive}, {names}, were those of a topology, with splits, codecs, "
                "paces, loads or links of their own: give one that says the same as --topology"
            )


def _identities(model: ModelFacts) -> list[tuple[str, str]]:
    """What tells each input from others, in their order; a seeded one has its name alone."""
    return [(one.sha256 or one.name, str(one.frame or "")) for one in model.inputs]
