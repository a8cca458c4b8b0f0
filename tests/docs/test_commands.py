"""The commands on the pages do what the pages say: those that need no link are run here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from edge_node.cli import app as edge_node
from netem.cli import app as netem
from orchestrator.ask.devices import power_of
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.topology import load_topology
from orchestrator.cli.root import app as orchestrate
from splitbed.cli import app as splitbed
from tests.docs.pages import PAGES, ROOT, Block, blocks, to_run
from tests.docs.stand_ins import STAND_INS, make
from ue_node.cli import app as ue_node

PROGRAMS = {
    name: typer.main.get_command(app)
    for name, app in {
        "edge-node": edge_node,
        "netem": netem,
        "orchestrate": orchestrate,
        "splitbed": splitbed,
        "ue-node": ue_node,
    }.items()
}
Command = Any  # click's, which typer brings under a name of its own
DEPLOY = ROOT / "deploy" / "README.md"


@pytest.mark.parametrize("block", to_run(linked=False), ids=lambda block: block.place)
def test_what_a_page_has_typed_works(block: Block, tmp_path: Path) -> None:
    make(block.stand_ins, tmp_path)
    done = block.run(tmp_path)
    assert done.code == 0, f"{done.out}\n{done.err}"


@pytest.mark.parametrize("page", [*PAGES, DEPLOY], ids=lambda page: page.name)
def test_each_option_on_a_page_is_one_of_its_command(page: Path) -> None:
    for block in blocks(page, "sh", "console"):
        for line in block.commands:
            program, *words = line.split()
            if program in PROGRAMS:
                command = _command(PROGRAMS[program], words)
                unknown = set(_options_in(" ".join(words))) - _options(command)
                assert not unknown, f"{block.place}: {program} {command.name} has no {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_option_in_a_sentence_is_one_of_some_command(page: Path) -> None:
    known = {option for program in PROGRAMS.values() for option in _all_options(program)}
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`]+)`", prose):
        if code.startswith(("--", *PROGRAMS)):
            assert set(_options_in(code)) <= known, f"{page.name}: {code}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_yaml_on_a_page_is_a_sweep_a_topology_or_a_device(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "yaml"):
        read = yaml.safe_load(block.text)
        (file := tmp_path / "read.yaml").write_text(block.text)
        if {"links", "ues"} & read.keys():
            load_topology(file)
        elif "power" in read:
            power_of(str(file))
        else:
            sweep_config({key.replace("-", "_"): value for key, value in read.items()})


def test_every_mark_of_a_block_is_one_that_is_meant() -> None:
    for page in PAGES:
        marked = list(blocks(page, "sh", "python"))
        for block in marked:
            known = {"not run", "up to its nodes", "run with", "stand-ins"}
            assert block.marks.keys() <= known, block.place
            assert (ROOT / block.measured_by).exists(), block.place
            assert set(block.stand_ins) <= set(STAND_INS), block.place
        written = page.read_text().count("<!-- ")
        assert written == sum(len(one.marks) for one in marked), f"{page.name}: a mark of none"


def _command(command: Command, words: list[str]) -> Command:
    """The subcommand that `words` begin with."""
    if isinstance(command, TyperGroup) and words and words[0] in command.commands:
        return _command(command.commands[words[0]], words[1:])
    return command


def _options_in(text: str) -> list[str]:
    return re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text)


def _options(command: Command) -> set[str]:
    named = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    return named | {"--help"}


def _all_options(command: Command) -> Iterator[str]:
    yield from _options(command)
    if isinstance(command, TyperGroup):
        for one in command.commands.values():
            yield from _all_options(one)
