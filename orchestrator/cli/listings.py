"""What a user can look at: models, splits, features, links, codecs, datasets, this machine."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netem.backends import choose, diagnose
from netem.profiles import PROFILES, SOURCES
from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.cli.watch.heartbeat import alive
from orchestrator.offline.cutting import crossings, one_cut
from orchestrator.reports.terminal import Line, show_lines
from orchestrator.results.run_folder import check_free
from orchestrator.testbed.local import local_model
from orchestrator.testbed.scratch import remove_abandoned
from splitbed.codecs import known as known_codecs
from splitbed.command import say
from splitbed.errors import MachineError
from splitbed.media.datasets import catalogue
from splitbed.media.features import Array, SavedMosaic, save_features
from splitbed.node import processor
from splitbed.zoo import ZOO


def doctor(*, as_json: bool) -> int:
    """What this machine can do; 0 when it can shape links, else 3."""
    findings = diagnose()
    try:
        backend, lacking = choose(), ""
    except MachineError as error:
        backend, lacking = "none", str(error)
    lines: list[Line] = [
        {"what": f.name, "works": "yes" if f.ok else "no", "detail": f.detail, "repair": f.repair}
        for f in findings
    ]
    if as_json:
        answer = {"link_backend": backend, "lacking": lacking, "findings": lines}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        show_lines(lines, as_json=False)
        say(f"{lacking}\n" if lacking else f"Links are shaped by: {backend}")
    return MachineError.exit_code if lacking else 0


def models(*, as_json: bool) -> None:
    """The anchor models of the zoo."""
    show_lines(
        [
            {"model": m.name, "what": m.title, "parameters": m.parameters}
            | {"named splits": len(m.named_splits)}
            | {"task": m.task, "source": m.source}
            for m in ZOO.values()
        ],
        as_json=as_json,
    )


def links(*, as_json: bool) -> None:
    """The named link profiles."""
    lines: list[Line] = []
    for name, spec in PROFILES.items():
        up, down = spec.uplink, spec.downlink
        lines.append(
            {
                "link": name,
                "uplink Mbit/s": up.rate_mbit,
                "downlink Mbit/s": down.rate_mbit,
                "delay ms": up.delay_ms,
                "jitter ms": up.jitter_ms,
                "loss %": up.loss_pct,
                "source": SOURCES[name],
            }
        )
    show_lines(lines, as_json=as_json)


def features(config: SweepConfig, out: Path, frames: int, *, as_json: bool) -> None:
    """Paint what crosses a cut for the first inputs, each in a folder of its own where several.

    Raises UsageError where nothing but the input or the results crosses, or `out` is not free.
    """
    check_free(out)
    lines: list[Line] = []
    with local_model(config) as local:
        split = one_cut(config, local)
        given = local.inputs[:frames]
        for one, crossing in crossings(local, split, given):
            folder = out / one.name if len(given) > 1 else out
            saved = save_features(crossing, folder, local.model.channels_last)
            lines += [
                {"input": one.name, **_feature_line(found, crossing[found.tensor], out)}
                for found in saved
            ]
    show_lines(lines, as_json=as_json)
    if not as_json:
        say(f"painted: {out}")


def _feature_line(found: SavedMosaic, array: Array, out: Path) -> Line:
    finite = array[np.isfinite(array)]
    return {
        # converters join the names of the operators that they fused into one tensor
        "tensor": found.tensor.partition(";")[0],
        "shape": "x".join(map(str, array.shape)),
        "datatype": str(array.dtype),
        "min": float(finite.min()) if finite.size else "none is finite",
        "max": float(finite.max()) if finite.size else "none is finite",
        "zeros %": round(100 * float(np.mean(array == 0)), 1),
        "shown": f"{found.shown} of {found.channels}",
        "file": str(found.path.relative_to(out)),
    }


def codecs(*, as_json: bool) -> None:
    """The stages that codecs are made of."""
    lines: list[Line] = [
        {
            "codec": one.name,
            "what": one.summary,
            "lossless": _yes(one.lossless),
            "calibrated": _yes(one.calibrated),
            "frames in order": _yes(one.sequential),
        }
        for one in known_codecs()
    ]
    show_lines(lines, as_json=as_json)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def datasets(*, as_json: bool) -> None:
    """The datasets of the catalogue, which are here, and how to get the others."""
    lines: list[Line] = [
        {
            "dataset": one.name,
            "what": one.title,
            "truth": one.truth,
            "terms": one.terms,
            "here": _yes(one.present),
            "how": _how(one),
        }
        for one in catalogue.CATALOGUE.values()
    ]
    show_lines(lines, as_json=as_json)


def _how(one: catalogue.KnownDataset) -> str:
    if one.embedded:
        return one.steps
    if one.present:
        return f"it is in {one.folder}"
    if one.archives:
        size = sum(archive.mb for archive in one.archives)
        return f"orchestrate datasets --get {one.name} ({size} MB), see {one.page}"
    return f"{one.page}: {one.steps}, in {one.folder}"


def get_dataset(name: str, sha256: Sequence[str], *, unchecked: bool) -> None:
    """Download and unpack a dataset, unless it is here, and say where it lies."""
    dataset = catalogue.known(name)
    if dataset.embedded:
        say(f"{name} is here always; use it as: --input {name}")
        return
    shown = DownloadLine(name)
    try:
        with alive(f"getting {name}"):
            place = catalogue.get(dataset, sha256, shown.show, unchecked=unchecked)
    finally:
        shown.end()
    say(f"{name} is in {place}; use it as: --input {name}")


class DownloadLine:
    """How far a download is, on stderr: one line that changes, or one per tenth in a file."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = ""

    def show(self, have_bytes: int, total_bytes: int | None) -> None:
        """Tell it, if that says anything new."""
        tenth = 10 * have_bytes // total_bytes if total_bytes else have_bytes // 100_000_000
        of = f" of {total_bytes / 1e6:,.0f}" if total_bytes else ""
        words = f"{self._name}: {have_bytes / 1e6:,.0f}{of} MB"
        told = words if sys.stderr.isatty() else f"{tenth}{of}"
        if told != self._told:
            sys.stderr.write(f"\r{words}" if sys.stderr.isatty() else f"{words}\n")
            sys.stderr.flush()
            self._told = told

    def end(self) -> None:
        """Leave the line, if there is one."""
        if self._told and sys.stderr.isatty():
            sys.stderr.write("\n")


def clean() -> None:
    """Remove what killed runs left, and say what that was."""
    removed = remove_abandoned()
    for found in removed:
        ended = f", ended processes {', '.join(map(str, found.pids))}" if found.pids else ""
        say(f"removed {found.folder}{ended}")
    groups = processor.remove_abandoned()
    for group in groups:
        say(f"removed {group}")
    if not removed and not groups:
        say("nothing to remove")
