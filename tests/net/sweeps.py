"""Runs `orchestrate` as a user types it: a small model, a real link."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.node.loopback import small_model
from tests.orchestrator import once
from tests.orchestrator.commands import orchestrate
from tests.shared_machine import AS_USUAL

AS_A_USER = (sys.executable, "-m", "orchestrator")
ORCHESTRATE = (sys.executable, once.__file__)
"""The same, but for what is disturbed and VALID: see tests/orchestrator/commands.py."""
TIMEOUT_S = 180


@dataclass(frozen=True)
class Place:
    """A folder of one test, with its own TMPDIR, so that what a run leaves can be seen."""

    folder: Path
    program: tuple[str, ...] = ORCHESTRATE

    @property
    def out(self) -> Path:
        return self.folder / "run"

    @property
    def temporary(self) -> Path:
        (path := self.folder / "tmp").mkdir(exist_ok=True)
        return path

    @property
    def model(self) -> str:
        file = self.folder / "small.onnx"
        return str(file if file.exists() else small_model(file))

    def argv(self, *options: str) -> list[str]:
        own = ["--model", self.model, "--out", str(self.out), "--no-profile"]
        return [*self.program, "sweep", *own, *options]

    def start(self, *options: str) -> "subprocess.Popen[str]":
        """A sweep in the background, its output kept."""
        return self.popen(self.argv(*options))

    def popen(self, argv: list[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*AS_USUAL, *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self.temporary)},
        )

    def sweep(self, *options: str) -> "subprocess.CompletedProcess[str]":
        """A sweep in this process."""
        return self.orchestrate(*self.argv(*options)[len(self.program) :])

    def orchestrate(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command in this process, as it is typed: to begin takes a quarter of a small sweep."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("TMPDIR", str(self.temporary))
            patched.setattr("tempfile.tempdir", str(self.temporary))
            done = orchestrate(*words)
        return subprocess.CompletedProcess(words, done.code, done.out, done.err)

    def rows(self) -> list[dict[str, str]]:
        with (self.out / "summary.csv").open() as file:
            return list(csv.DictReader(file))

    def run_json(self) -> dict[str, Any]:
        return dict(json.loads((self.out / "run.json").read_text()))

    def cells(self) -> int:
        """How many cells have ended so far."""
        file = self.out / "cells.jsonl"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def processes(self) -> list[psutil.Process]:
        """The live processes that a run recorded here."""
        found = []
        for record in self.temporary.glob("splitbed-*/processes.jsonl"):
            for line in record.read_text().splitlines():
                if psutil.pid_exists(pid := json.loads(line)["pid"]):
                    found.append(psutil.Process(pid))
        return [p for p in found if p.status() != psutil.STATUS_ZOMBIE]

    def node(self, side: str) -> psutil.Process:
        """The live node of that name in the topology."""
        (node,) = [p for p in self.processes() if {"--name", side} <= {*p.cmdline()}]
        return node


def ended(
    process: "subprocess.Popen[str]", timeout_s: float = TIMEOUT_S
) -> "subprocess.CompletedProcess[str]":
    """Wait for the end of a sweep."""
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
