"""The container that runs scenarios: what it starts, here, with the rights that it is given."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from netem.namespace import privileged
from tests.deploy.test_deploy import DEPLOY, ROOT
from tests.node.loopback import small_model

STARTS = DEPLOY / "splitbed-container"
# those that Docker leaves a container, before any is added
USUAL = (
    "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw"
    " sys_chroot mknod audit_write setfcap"
)
# as Docker has it, which runs no code there
SHARED_MEMORY = "mount -t tmpfs -o noexec,nosuid,nodev,size=64m tmpfs /dev/shm"
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not privileged(), reason="only root may drop what root may"
)


def stage() -> str:
    """The testbed's part of the Containerfile, a line each instruction."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", "")
    return re.split(r"^FROM .* AS testbed\n", text, flags=re.MULTILINE)[1].split("\nFROM ")[0]


def started(tmp_path: Path, *words: str) -> list[str]:
    """What the script has a container program run."""
    told = tmp_path / "docker"
    told.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/argv\n')
    told.chmod(0o755)
    argv = [str(STARTS), str(tmp_path / "my data"), *words]
    subprocess.run(argv, env={**os.environ, "CONTAINER": str(told)}, check=True)
    return (tmp_path / "argv").read_text().splitlines()


def test_a_folder_of_the_host_is_all_that_a_container_is_told(tmp_path: Path) -> None:
    argv = started(tmp_path, "scenario", "run", "10.3")
    assert argv[:4] == ["run", "--rm", "-v", f"{tmp_path}/my data:/host"]
    assert argv[-4:] == ["splitbed", "scenario", "run", "10.3"]
    assert all((tmp_path / "my data" / name).is_dir() for name in ("out", "data"))


def test_the_readme_has_the_same_command(tmp_path: Path) -> None:
    argv = started(tmp_path, "scenario", "run", "10.3")
    readme = (DEPLOY / "README.md").read_text().replace("\\\n", "")
    (typed,) = re.findall(r"^docker run .*$", readme, re.MULTILINE)
    told = [word.replace(f"{tmp_path}/my data", "~/myAiMlData") for word in argv]
    assert shlex.split(typed) == ["docker", *told]


def test_without_a_folder_it_says_how_it_is_used() -> None:
    done = subprocess.run([str(STARTS)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith("usage: ")) == (2, True)


def test_all_that_is_copied_into_a_container_is_there() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    copied = [
        word
        for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE)
        for word in line.split()[:-1]
    ]
    assert {"orchestrator", "topologies", "requirements.lock"} <= {*copied}
    assert all((ROOT / name).exists() for name in copied)


@needs_root
def test_what_a_container_starts_measures_with_the_rights_that_it_is_given(tmp_path: Path) -> None:
    own = stage()
    (entry,) = re.findall(r"^ENTRYPOINT (\[.*\])$", own, re.MULTILINE)
    (settings,) = re.findall(r"^ENV (.*)$", own, re.MULTILINE)
    told = dict(
        word.split("=") for word in settings.replace("/host", str(tmp_path / "host")).split()
    )
    caps = started(tmp_path, "x")
    added = [caps[place + 1].lower() for place, word in enumerate(caps) if word == "--cap-add"]
    allowed = "-all," + ",".join(f"+{cap}" for cap in (*USUAL.split(), *added))
    program = str(Path(sys.prefix, "bin", json.loads(entry)[0]))
    (host := tmp_path / "host").mkdir()
    model = small_model(host / "small.onnx")
    sweep = f"sweep --model {model} --split 3:3 --bw 100 --runs 3 --no-profile --no-delivery"
    argv = ["setpriv", f"--bounding-set={allowed}", "--inh-caps=-all", program, *sweep.split()]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{SHARED_MEMORY} && exec {shlex.join(argv)}"],
        cwd=host,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr  # 1: INVALID, as others may make it
    (run,) = (host / "out").iterdir()
    with (run / "summary.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert [row["errors"] for row in rows] == ["0"] * 3, done.stderr
