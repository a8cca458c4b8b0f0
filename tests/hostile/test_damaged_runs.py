"""Run folders and recordings that were damaged: read as far as can be, or refused in one line."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.hostile.length import tries
from tests.orchestrator.commands import orchestrate
from tests.orchestrator.made_runs import made_run

ODD: tuple[Any, ...] = (
    None, "", "x", "\0", [], {}, [[]], {"a": 1}, True, -1, 0, 1.5, math.nan, math.inf, -math.inf,
    1 << 63, -(1 << 63), 10**400, 1e308, "0:99", "999999999999999999999:1",
)  # fmt: skip
"""What may stand where something else should."""
READERS = (
    ["report", "RUN"],
    ["report", "RUN", "--format", "csv"],
    ["report", "RUN", "--format", "json"],
    ["report", "RUN", "--threshold", "e2e_p95<250ms"],
    ["compare", "RUN", "WHOLE"],
    ["compare", "WHOLE", "RUN"],
    ["crosscheck", "WHOLE", "RUN"],
    ["pack", "RUN", "--out", "OUT"],
)


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value within one of JSON."""
    inside = [*value.items()] if isinstance(value, dict) else []
    inside += enumerate(value) if isinstance(value, list) else []
    for key, inner in inside:
        yield (*before, key)
        yield from places(inner, (*before, key))


def damage(text: str, rng: Random) -> str:
    """JSON with one value gone or another; or with half of it missing."""
    if rng.random() < 0.1:
        return text[: rng.randrange(len(text))]
    value = json.loads(text)
    *way, last = rng.choice([*places(value)])
    at = value
    for key in way:
        at = at[key]
    if rng.random() < 0.35:
        del at[last]
    else:
        at[last] = rng.choice(ODD)
    return json.dumps(value)


def damaged_run(whole: Path, run: Path, rng: Random) -> None:
    """A copy of a run with one of its files damaged."""
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(whole, run)
    file = rng.choice([one for one in sorted(run.iterdir()) if ".json" in one.suffix])
    if file.suffix == ".json":
        file.write_text(damage(file.read_text(), rng))
        return
    lines = file.read_text().splitlines()
    for place in rng.sample(range(len(lines)), rng.randint(1, len(lines))):
        lines[place] = damage(lines[place], rng)
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("seed", range(tries(2, 200)))
def test_a_damaged_run_is_read_as_far_as_can_be_or_refused(tmp_path: Path, seed: int) -> None:
    rng, whole, run = Random(seed), tmp_path / "whole", tmp_path / "run"
    made_run(whole)
    for number in range(40):
        damaged_run(whole, run, rng)
        named = {"RUN": str(run), "WHOLE": str(whole), "OUT": str(tmp_path / f"{number}.zip")}
        command = [named.get(word, word) for word in rng.choice(READERS)]
        ended = orchestrate(*command)  # which lets any other error than ours through
        assert "Traceback" not in ended.err
        assert ended.code in (0, 1, 2), (command, ended.err)
