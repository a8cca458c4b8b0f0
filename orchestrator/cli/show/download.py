"""A dataset that is got, and how far it is."""

import sys
from collections.abc import Sequence

from orchestrator.cli.watch.heartbeat import alive
from splitbed.command import say
from splitbed.media.datasets import catalogue


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
