"""A machine that is not fit for an order says why; a fleet says which word is none of it."""

import json
import socket
from collections import namedtuple
from pathlib import Path

import pytest

from netem.doctor import Finding
from orchestrator.fleet.named import fleet_named
from orchestrator.fleet.order import Answer, Build, Order, key_of, this_build
from orchestrator.fleet.worker import answered
from splitbed.errors import MachineError, UsageError
from tests.orchestrator.commands import orchestrate


def order(**changed: object) -> bytes:
    told = Order(
        key="k", words="8 Mbit/s", build=this_build(), asked={"model": "shapesnet"}
    ).plain()
    return json.dumps(told | {"looks": True} | changed).encode()


def unfit(text: bytes) -> str:
    told, archive = answered(text, lambda _: b"")
    answer = Answer.from_json(told)
    assert (answer.machine, archive) == (socket.gethostname(), b"")
    return "; ".join(answer.unfit)


def test_another_splitbed_is_refused_whatever_else_its_orders_say() -> None:
    other = Build(version="9.9", commit="c0ffee5" * 5, code="another").plain()
    said = unfit(json.dumps({"build": other, "of a later version": 1}).encode())
    assert f"it has Splitbed {this_build().words}" in said
    assert "the sweep is by 9.9 of commit c0ffee5" in said


def test_a_full_disk_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(5e8))
    assert "has 0.5 GB left, and 1.1 GB are needed: make room there" in unfit(order())


def test_what_cannot_be_measured_there_is_refused() -> None:
    asked = {"model": "shapesnet", "link_backend": "nonesuch"}
    assert "nonesuch" in unfit(order(asked=asked))


def test_a_machine_that_may_make_no_links_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    none = Finding("privilege", False, "Operation not permitted", "run it as root")
    monkeypatch.setattr("netem.backends.privilege", lambda: none)
    said = unfit(order())
    assert "no link backend works" in said
    assert "native: privilege: Operation not permitted; repair: run it as root" in said


def test_a_key_is_of_the_configuration_and_the_run() -> None:
    asked = {"model": "shapesnet", "bw": [5]}
    assert key_of("run", asked) == key_of("run", dict(reversed(asked.items())))
    assert len({key_of("run", asked), key_of("other", asked), key_of("run", {"bw": [5]})}) == 3


@pytest.mark.parametrize(
    "word", ["dask", "ray:", "ray://", "ray://host", "host:port", "http://a:1"]
)
def test_a_word_that_names_no_fleet_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="give ray, ray://HOST:PORT"):
        fleet_named(word)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("cores=4", "cores is none of cluster, partition, hours"),
        ("cluster=debug", "cluster is one of slurm, local"),
        *((f"hours={hours}", "hours must be a number above 0") for hours in ("x", "inf", "-1")),
    ],
)
def test_an_option_that_slurm_has_not_is_refused(options: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fleet_named(f"submitit:{options}")


def test_what_slurm_says_of_a_job_that_it_does_not_take_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    for name in ("sbatch", "srun"):
        (program := tmp_path / name).write_text("#!/bin/sh\necho invalid partition >&2; exit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fleet = fleet_named("submitit:partition=none")
    fleet.open(tmp_path / "spool")
    with pytest.raises(MachineError, match=r"Slurm takes no job: .*invalid partition"):
        fleet.send(Order.from_json(order()))
    fleet.close()


@pytest.mark.parametrize(("word", "package"), [("ray", "ray"), ("submitit", "slurm")])
def test_an_engine_that_is_not_installed_is_named(
    word: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("on_ray", "on_slurm"):
        monkeypatch.setattr(f"orchestrator.fleet.{module}.find_spec", lambda _: None)
    with pytest.raises(MachineError, match=rf"repair: pip install 'splitbed\[{package}\]'"):
        fleet_named(word)


def test_what_one_machine_alone_can_do_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    told = ("sweep", "--model", "shapesnet", "--on", "ray", "--out", str(tmp_path / "run"))
    done = orchestrate(*told, "--until-sure")
    assert (done.code, "give no --on" in done.err) == (2, True)
    assert not (tmp_path / "run").exists()
