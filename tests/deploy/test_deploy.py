"""deploy/: its README followed to the letter on two machines, and what it has services run as."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from netem.backends import BACKENDS
from netem.link import DEVICE, Addresses, Link
from netem.namespace import Namespace, new_namespace, privileged
from orchestrator.ask.flow import check_flow
from orchestrator.ask.topology import Machines, load_topology
from splitbed.node.config import EdgeConfig, UeConfig, load_node_config
from splitbed.security import certificates
from tests.deploy.hosts import Hosts, hosts, listening, needs_sshd
from tests.node.loopback import small_model

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "splitbed@.service"
SIDES = ("ue", "edge")
SIDE = 96  # of the picture: frames are large against what a shaper lets pass at once
UE, EDGE = "192.0.2.10", "192.0.2.20"  # those of the README
_PR_SET_MDWE = 65  # prctl(2): what MemoryDenyWriteExecute asks for, as Linux 6.3 has it itself
_NO_WRITE_EXEC = (
    f"import ctypes, os, sys; ctypes.CDLL(None).prctl({_PR_SET_MDWE}, 1, 0, 0, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="no systemd-analyze here: it is systemd's"
)
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not privileged(),
    reason="only root may log in as root, or drop what root may",
)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Link, Hosts]]:
    """Two network namespaces with nothing but a wire between them, and a host in each."""
    with ExitStack() as stack:
        made = stack.enter_context(hosts(tmp_path / "ssh", 22))
        link = stack.enter_context(BACKENDS["native"].open(tmp_path, Addresses(UE, EDGE, 24)))
        stack.enter_context(listening(made, UE, link.ue))
        stack.enter_context(listening(made, EDGE, link.edge))
        yield link, made


@needs_sshd
@needs_root
def test_the_readme_followed_to_the_letter_sweeps_two_machines(
    machines: tuple[Link, Hosts], tmp_path: Path
) -> None:
    link, made = machines
    (code := tmp_path / "code").mkdir()
    (typed := tmp_path / "typed").mkdir()
    (code / ".venv").symlink_to(sys.prefix)
    for name in ("deploy", "topologies"):
        (code / name).symlink_to(ROOT / name)
    own = {
        "CODE": str(code),
        "AT": str(tmp_path / "at"),
        "UE_DEV": DEVICE,
        "EDGE_DEV": DEVICE,
        "SWEEP": f"--model {small_model(tmp_path / 'small.onnx', SIDE)} --split 3:3 --bw 20"
        f" --runs 3 --no-profile --out {tmp_path / 'run'}",
    }
    done = subprocess.run(
        link.ue.command(["sh", "-eu", "-c", readme(own)]),
        cwd=typed,
        env={**os.environ, "PATH": f"{made.bin}:{os.environ['PATH']}:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "VALID" in done.stdout.split()
    assert not made.started()
    for end in (link.ue, link.edge):
        assert "htb" not in end.run(["tc", "qdisc", "show", "dev", DEVICE])


def readme(own: dict[str, str]) -> str:
    """The commands of the README, with what a user puts in of their own."""
    text = (DEPLOY / "README.md").read_text()
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    for name, value in own.items():
        commands, found = re.subn(rf'\b{name}=("[^"]*"|\S+)', f'{name}="{value}"', commands)
        assert found == 1, f"the README gives {name} {found} times"
    return commands


def test_the_examples_belong_together_and_listen_to_nobody_without_a_certificate() -> None:
    ue = load_node_config(UeConfig, DEPLOY / "ue.yaml", {})
    edge = load_node_config(EdgeConfig, DEPLOY / "edge.yaml", {})
    topology = load_topology(ROOT / "topologies" / "two-machines.yaml")
    assert isinstance(topology, Machines)
    assert ue.edge == edge.listen
    assert (ue.control, edge.control) == (
        topology.nodes["ue"].control,
        topology.nodes["edge"].control,
    )
    for config in (ue, edge):
        assert config.tls
        assert config.token_file
        assert not config.insecure


@pytest.mark.parametrize("flow", ["chain", "call", "multi-head"])
def test_there_is_a_topology_of_machines_for_each_flow_of_three_nodes(flow: str) -> None:
    topology = load_topology(ROOT / "topologies" / f"{flow}-machines.yaml")
    assert isinstance(topology, Machines)
    assert topology.tls
    ends = [place.ends for place in topology.links.values()]
    check_flow(flow, topology.names, ends, topology.name)
    middle = load_node_config(EdgeConfig, DEPLOY / "middle.yaml", {})
    assert middle.control in {place.control for place in topology.nodes.values()}
    assert {one.towards for one in middle.shaper} == {"ue", *middle.dials}
    assert middle.tls


@needs_systemd
@pytest.mark.parametrize("side", SIDES)
def test_systemd_accepts_the_unit_of_a_node(side: str, tmp_path: Path) -> None:
    here = UNIT.read_text().replace("/opt/splitbed/.venv", sys.prefix)
    (unit := tmp_path / f"splitbed@{side}.service").write_text(here)
    analyze = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    done = subprocess.run(analyze, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_systemd_finds_the_unit_little_exposed() -> None:
    # of 10; what is left is the network, CAP_NET_ADMIN, two sysctls and the UE's CPU quota
    analyze = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(UNIT)]
    done = subprocess.run(analyze, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout.splitlines()[-1:]


def test_a_service_may_shape_and_nothing_more() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.read(UNIT)
    service = unit["Service"]
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == "CAP_NET_ADMIN"
    assert service["NoNewPrivileges"] == service["DynamicUser"] == "yes"


def test_a_container_may_shape_and_nothing_more() -> None:
    services = compose()
    for side in SIDES:
        node = services[side]
        assert (node["cap_drop"], node["cap_add"]) == (["ALL"], ["NET_ADMIN"])
        assert node["security_opt"] == ["no-new-privileges:true"]
        assert node["read_only"]
        assert "network_mode" not in node  # what it shapes is its own


def test_every_container_has_a_health_check() -> None:
    services = compose()
    assert all("test" in service["healthcheck"] for service in services.values())
    for side in SIDES:
        assert services[side]["healthcheck"]["test"][1:] == container(side)["HEALTHCHECK"]


def test_what_containers_mount_of_the_repository_is_there() -> None:
    mounts = [mount for service in compose().values() for mount in service.get("volumes", [])]
    own = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert own
    assert all((DEPLOY / path).is_dir() for path in own)


@needs_root
@pytest.mark.parametrize("side", SIDES)
def test_a_node_needs_no_privilege_but_net_admin_and_no_memory_to_write_and_execute(
    side: str, namespace: Namespace, place: Path
) -> None:
    bare = ["setpriv", "--no-new-privs"]
    bare += [f"--{kind}=-all,+net_admin" for kind in ("inh-caps", "bounding-set")]
    argv = {name: here(words, place) for name, words in container(side).items()}
    with subprocess.Popen(
        namespace.command([*bare, sys.executable, "-c", _NO_WRITE_EXEC, *argv["ENTRYPOINT"]]),
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as node:
        try:
            while "serving" not in (node.stdout.readline() if node.stdout else ""):
                assert node.poll() is None
            subprocess.run(namespace.command(argv["HEALTHCHECK"]), capture_output=True, check=True)
        finally:
            node.terminate()
            log = node.communicate()[0]
    assert node.returncode == 0, log


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """With an eth0, as a container has."""
    with new_namespace() as made:
        made.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other"])
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The files of both nodes, in one folder."""
    made = tmp_path / "place"
    certificates.create(made, {"ue": [UE], "edge": [EDGE]}, days=1, token=True)
    for name in ("ue.yaml", "edge.yaml"):
        shutil.copy(DEPLOY / name, made)
    return made


def compose() -> dict[str, Any]:
    """The services of the compose file."""
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"])


def container(side: str) -> dict[str, list[str]]:
    """What the container of a node runs, and how it is asked whether it is well."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", "")
    _, _, stage = text.partition(f"FROM node AS {side}\n")
    found = re.findall(r"^(ENTRYPOINT|HEALTHCHECK)\b.*?(\[.*?\])$", stage, re.MULTILINE)
    return {name: json.loads(words) for name, words in reversed(found)}


def here(argv: list[str], place: Path) -> list[str]:
    """A container's command on this machine."""
    program, *options = argv
    return [
        str(Path(sys.prefix, "bin", program)),
        *(option.replace("/etc/splitbed", str(place)) for option in options),
    ]
