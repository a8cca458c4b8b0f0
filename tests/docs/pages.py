"""The pages of the documentation, and the commands in them.

A block fenced as ``sh`` or ``python`` is run as it stands, in an empty folder, unless a comment
before it says::

    <!-- not run: WHY -->
    <!-- up to its nodes: TESTS -->  those measure likewise, so it ends where nodes would begin
    <!-- run with: ARGS -->          goes behind each command: of an option twice, the last counts;
                                     in Python into the first call of splitbed
    <!-- stand-ins: NAME NAME -->    which files of the reader's own are made up (stand_ins.py)

Blocks with a command that needs a link are run by tests/net/test_pages.py, the others by
tests/docs/test_commands.py. Python and plain lines of `orchestrate` run in the tests' own process:
to begin would take most of their time.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from tests.orchestrator.commands import Ended, orchestrate

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = (
    "sweep",
    "serve",
    "loadgen",
    "trace",
    "replay",
    "plan",
    "profile",
    "scenario run",
    "prove",
    "doctor",
    "model-sweep",
    "increments",
    "grow",
)
"""Commands that need a link, and a machine that can shape one; with --offline none does."""

_BLOCK = re.compile(
    r"^(?P<marks>(?:<!--.*?-->\n)*)```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(r"<!-- ([a-z -]+): (.*?) -->")
_CALL = re.compile(r"(splitbed\.\w+\([^)]*)\)")
_COMMENT = re.compile(r"\s+# .*|^# .*")
_SHELL = re.compile(r"[][|&;<>()$`*?~\"\\]")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it is, its commands, and what is said of running it."""

    place: str
    language: str
    text: str
    marks: dict[str, str]

    @property
    def commands(self) -> list[str]:
        """A line for each, as it stands but for comments and folded lines."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [command for line in lines if (command := _COMMENT.sub("", line).strip())]

    @property
    def linked(self) -> bool:
        """Whether one of them needs a link."""
        if self.language == "python":
            return "splitbed.sweep(" in self.text or "splitbed.serve(" in self.text
        if "--offline" in f"{self.text} {self.marks.get('run with')}".split():
            return False
        words = [" ".join(command.split()[1:]) for command in self.commands]
        return any(one.startswith(LINKED) for one in words)

    @property
    def stand_ins(self) -> list[str]:
        return self.marks.get("stand-ins", "").split()

    def run(self, folder: Path) -> Ended:
        """Run it in `folder`, up to the first command that fails."""
        more = self.marks.get("run with", "")
        if self.language == "python":
            text = _CALL.sub(rf"\1, {more})", self.text, count=1) if more else self.text
            with chdir(folder):
                exec(compile(text, self.place, "exec"), {"__name__": "__main__"})
            return Ended(0, "", "")
        for command in self.commands:
            ended = _typed(f"{command} {more}", folder)
            if ended.code:
                break
        return ended

    @property
    def measured_by(self) -> str:
        """The tests that measure likewise, where its nodes need not begin."""
        return self.marks.get("up to its nodes", "")

    def begin(self, folder: Path) -> None:
        """Type its commands in `folder`: each fails, or comes to where it brings up nodes."""
        nodes = "orchestrator.testbed.testbed.remove_abandoned"  # before anything else of theirs
        for command in self.commands:
            with patch(nodes, side_effect=_NodesWouldBeginError), suppress(_NodesWouldBeginError):
                ended = _typed(f"{command} {self.marks.get('run with', '')}", folder)
                raise AssertionError(f"{command}: {ended.out}\n{ended.err}")


class _NodesWouldBeginError(Exception):
    """A command is about to bring up its nodes."""


def _typed(line: str, folder: Path) -> Ended:
    """How a line ends: in this process, unless it takes another program or the shell."""
    program, *words = shlex.split(line)
    if program != "orchestrate" or _SHELL.search(re.sub(r"'[^']*'", "", line)):
        return _run(["sh", "-eu", "-c", line], folder)
    with chdir(folder):
        return orchestrate(*words)


def _run(argv: list[str], folder: Path) -> Ended:
    found = f"{Path(sys.prefix, 'bin')}:{os.environ['PATH']}"
    done = subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, "PATH": found},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """The blocks of a page in these languages."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        if found["language"] in languages:
            marks = dict(_MARK.findall(found["marks"]))
            yield Block(f"{page.name}:{line}", found["language"], found["text"], marks)


def to_run(*, linked: bool) -> list[Block]:
    """The blocks of all pages that a test is to run."""
    every = [block for page in PAGES for block in blocks(page, "sh", "python")]
    return [one for one in every if "not run" not in one.marks and one.linked == linked]
