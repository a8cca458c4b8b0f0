"""Models in which faults were found, through the commands: they work, or are refused in a line."""

import json
from pathlib import Path

import pytest

from tests.graphs import models
from tests.graphs.test_faults import CUT, FAULTS
from tests.orchestrator.commands import orchestrate


def shape_option(name: str) -> list[str]:
    sizes = [f"{key}={'x'.join(map(str, shape))}" for key, shape in CUT[name].items()]
    return ["--shape", ",".join(sizes)] if sizes else []


@pytest.mark.parametrize("name", CUT)
def test_a_fault_that_was_found_is_none_in_any_command(name: str) -> None:
    file, shape = str(FAULTS / f"{name}.onnx"), shape_option(name)
    listed = orchestrate("splits", file, *shape, "--split", "all", "--json")
    assert listed.code == 0, listed.err
    cuts = json.loads(listed.out)
    verified = orchestrate("verify", "--model", file, *shape, "--json")
    assert verified.code == 0, verified.err
    checks = json.loads(verified.out)
    assert len(checks) >= 2 + bool(cuts)
    assert {check["verdict"] for check in checks} == {"PASSED"}
    inferred = orchestrate("infer", "--model", file, *shape)
    assert inferred.code == 0, inferred.err


@pytest.mark.parametrize("name", ["bf16_input", "unknown_operator", "zipmap_output"])
@pytest.mark.parametrize("words", [["splits"], ["verify", "--model"], ["infer", "--model"]])
def test_what_cannot_be_cut_is_refused_in_a_line(name: str, words: list[str]) -> None:
    done = orchestrate(*words, str(FAULTS / f"{name}.onnx"))
    assert done.code == 2
    assert done.err.startswith("error: cannot split ")
    assert done.err.count("\n") == 1


def test_a_conversion_is_told_by_every_command(tmp_path: Path) -> None:
    file = str(models.save(models.chain(opset=9), tmp_path / "old.onnx"))
    told = "of opset 9, converted to 11"
    assert told in orchestrate("splits", file).err
    assert told in orchestrate("verify", "--model", file).out
    assert told in orchestrate("infer", "--model", file).out
