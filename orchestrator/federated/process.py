"""A process of Spark in a namespace, and all that it starts: ended by pid."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from netem.namespace import Namespace
from orchestrator.testbed.scratch import Scratch
from splitbed.ending import WITH_US

_END_S = 3.0
_ERROR = re.compile(r"^\S*(Error|Exception)\b|\bERROR\b")


@dataclass
class SparkProcess:
    """One, started when it is made; what it says goes to a log.

    It is killed with the orchestrator, however that ends, and what it has started ends by itself
    then, since it hears nothing from it any more.
    """

    name: str
    argv: Sequence[str]
    namespace: Namespace
    scratch: Scratch
    environment: Mapping[str, str]
    passed: Sequence[int] = ()
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.namespace.command([*WITH_US, *self.argv]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment, "TMPDIR": str(self.scratch.folder)},
                pass_fds=self.passed,
                start_new_session=True,
            )
        self.scratch.record(self.process.pid)

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self.scratch.folder / f"{self.name}.log"

    def tree(self) -> list[psutil.Process]:
        """It and all that it has started, as they are now."""
        try:
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def hold(self) -> None:
        """Stop it, and all that it has started, where they are."""
        for one in self.tree():
            with suppress(psutil.NoSuchProcess):
                one.suspend()

    def end(self) -> None:
        """Kill it, then all that it has started.

        What is started meanwhile by an executor's Worker ends by itself, as that is gone.
        """
        tree = self.tree()
        for one in tree:
            with suppress(psutil.NoSuchProcess):
                one.kill()  # the same process, not another of its pid
        self.process.wait()
        psutil.wait_procs(tree, _END_S)

    def last_words(self) -> str:
        """The end of what it wrote, in a line: the last that tells of an error, if one does."""
        said = self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        errors = [line for line in said if _ERROR.search(line)]
        return (errors or said)[-1].strip()[:300]
