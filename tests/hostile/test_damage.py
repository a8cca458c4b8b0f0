"""Runs, recordings and options in files that were damaged: read as far as can be, or refused."""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from orchestrator.adapt.named import bandwidth_trace
from orchestrator.ask.devices import PROFILES, load_profile
from orchestrator.ask.scenario_file import SCENARIOS, load_scenario
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.topology import load_machines, load_topology
from orchestrator.checks.tolerances import read_tolerances
from orchestrator.plan.benchmark_csv import read_operators
from splitbed.errors import SplitbedError
from splitbed.node.config import EdgeConfig, UeConfig, load_node_config
from tests.hostile.length import tries
from tests.orchestrator.checks.test_models import growth
from tests.orchestrator.checks.test_models import run as models
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
    return json.dumps(changed(json.loads(text), rng))


def changed(value: Any, rng: Random) -> Any:
    """The same with one value within gone or another."""
    value = deepcopy(value)
    *way, last = rng.choice([*places(value)])
    at = value
    for key in way:
        at = at[key]
    if rng.random() < 0.35:
        del at[last]
    else:
        at[last] = deepcopy(rng.choice(ODD))
    return value


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
    for number in range(20):
        damaged_run(whole, run, rng)
        named = {"RUN": str(run), "WHOLE": str(whole), "OUT": str(tmp_path / f"{number}.zip")}
        command = [named.get(word, word) for word in rng.choice(READERS)]
        ended = orchestrate(*command)  # which lets any other error than ours through
        assert "Traceback" not in ended.err
        assert ended.code in (0, 1, 2), (command, ended.err)


OF_MODELS = (
    ["report", "RUN"],
    ["report", "RUN", "--tr"],
    ["report", "RUN", "--tr", "--format", "latex"],
    ["crosscheck", "WHOLE", "RUN"],
    ["crosscheck", "RUN", "WHOLE"],
    ["pack", "RUN", "--out", "OUT"],
)


@pytest.mark.parametrize("made", [models, growth])
def test_a_damaged_run_of_models_is_read_as_far_as_can_be_or_refused(
    tmp_path: Path, made: Callable[[Path], Path]
) -> None:
    rng, whole, run = Random(made.__name__), made(tmp_path / "whole"), tmp_path / "run"
    for number in range(tries(12, 3000)):
        damaged_run(whole, run, rng)
        named = {"RUN": str(run), "WHOLE": str(whole), "OUT": str(tmp_path / f"{number}.zip")}
        ended = orchestrate(*(named.get(word, word) for word in rng.choice(OF_MODELS)))
        assert "Traceback" not in ended.err
        assert ended.code in (0, 1, 2)


def test_a_part_that_came_as_its_run_ended_has_no_times(tmp_path: Path) -> None:
    run = growth(tmp_path / "run")
    cell = json.loads((run / "cells.jsonl").read_text())
    (run / "cells.jsonl").write_text(json.dumps(cell | {"frames": []}) + "\n")
    ended = orchestrate("report", str(run), "--tr")
    assert (ended.code, ended.err[:6]) == (2, "error:"), ended.err


def test_what_a_run_of_models_is_called_commands_no_terminal(tmp_path: Path) -> None:
    run = models(tmp_path / "run")
    for file in run.glob("*.json*"):
        file.write_text(file.read_text().replace('"int8"', '"int8\\u001b[2J\\u202e"'))
    ended = orchestrate("report", str(run), "--tr")
    assert "int8" in ended.out
    assert not {"\x1b", "\u202e"} & {*ended.out, *ended.err}


NODE = {"control": "127.0.0.1:6", "limits": {"sessions": 4}, "dials": {"cloud": "192.0.2.1:5"}}
SWEEP = {
    "model": "shapesnet", "bw": [5, 20], "ul": {"rate_mbit": 3}, "shape": {"x": [1, 3]},
    "link_of": {"link": {"delay_ms": 3}}, "budget": "3m", "codec": ["int8"], "ue_slowdown": [1, 2],
}  # fmt: skip


def documents() -> Iterator[tuple[Callable[[Path], object], Any]]:
    """What reads options from a file, and what it reads."""
    root = Path(__file__).parents[2]
    for file in sorted((root / "topologies").glob("*.yaml")):
        load = load_machines if "machines" in file.name else load_topology
        yield load, yaml.safe_load(file.read_text())
    for text in (SCENARIOS[name].read_text() for name in SCENARIOS):
        yield lambda file: load_scenario(str(file)), yaml.safe_load(text)
    for text in (PROFILES[name].read_text() for name in PROFILES):
        yield lambda file: load_profile(str(file)), yaml.safe_load(text)
    tolerances = root / "orchestrator/checks/tolerances.yaml"
    yield read_tolerances, yaml.safe_load(tolerances.read_text())
    yield lambda file: sweep_config({}, file), SWEEP
    tls = {"ca": "a.pem", "cert": "b.pem", "key": "c.key"}
    edge = NODE | {"listen": "127.0.0.1:5", "tls": tls, "shaper": [{"dev": "e", "towards": "ue"}]}
    yield lambda file: load_node_config(EdgeConfig, file, {}), edge
    yield lambda file: load_node_config(UeConfig, file, {}), NODE | {"edge": "127.0.0.1:5"}
    steps = {"steps": [[0, 20], [10, 5], [12, 0]], "length_s": 20}
    yield lambda file: bandwidth_trace(str(file)), steps


def test_options_in_a_damaged_file_are_refused_as_what_they_are(tmp_path: Path) -> None:
    rng, file = Random(5), tmp_path / "options.yaml"
    for load, whole in documents():
        for _ in range(tries(6, 2500)):
            file.write_text(yaml.safe_dump(changed(whole, rng)))
            with suppress(SplitbedError):
                load(file)


@pytest.mark.parametrize("text", ["0 20\n1 5\n2 0\n3 20\n", "0,20\n1,5\n", "1\n2\n5\n9\n"])
def test_a_damaged_recording_is_refused_as_what_it_is(tmp_path: Path, text: str) -> None:
    rng, file = Random(6), tmp_path / "recording.txt"
    odd = ("9" * 40, "nan", "inf", "-1", "1e400", "\0", "\n", "\u00e9", ",", " ", "", "-0")
    for _ in range(tries(60, 6000)):
        damaged = [*text]
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(damaged) + 1)
            damaged[place : place + rng.randint(0, 2)] = rng.choice(odd)
        file.write_text("".join(damaged))
        for read in (lambda file: bandwidth_trace(str(file)), read_operators):
            with suppress(SplitbedError):
                read(file)
