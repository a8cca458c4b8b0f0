"""`orchestrate up` and `down`, with a real sshd; a script stands in for the nodes."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.ask.topology import Machines, NodePlace, load_topology
from orchestrator.testbed.ssh import down, up
from splitbed.errors import MachineError, NodeError, UsageError
from tests.deploy.hosts import Hosts, hosts, listening, needs_sshd
from tests.node.loopback import free_port
from tests.shared_machine import until

ROOT = Path(__file__).parents[2]
HERE = "127.0.0.1"
NODE = """#!/bin/sh
# serve --config FILE [--check]; what the file says comes true
up=$3.up
[ "$4" != --check ] || exec kill -0 "$(cat "$up")" 2>/dev/null
. "$3"
trap 'sleep "$ends_after_s"; echo ended >>"$up"; exit 0' TERM
echo $$ >"$up"
while :; do sleep 0.05; done
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folder = tmp_path_factory.mktemp("hosts") / "ssh"
    with hosts(folder, free_port()) as made, listening(made, HERE):
        yield made


@pytest.fixture
def machines(host: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    monkeypatch.setenv("PATH", str(host.bin), prepend=":")
    (node := tmp_path / "a node").write_text(NODE)
    node.chmod(0o755)
    for side in ("ue", "edge"):
        (tmp_path / f"{side}.yaml").write_text("ends_after_s=0\n")
    places = {
        side: NodePlace(
            control=f"{HERE}:1",
            ssh=f"{host.user}@{HERE}",
            config=str(tmp_path / f"{side}.yaml"),
            command=str(node),
        )
        for side in ("ue", "edge")
    }
    yield Machines(name=tmp_path.name, nodes=places)
    host.end()


def alone(machines: Machines, **changes: str | None) -> Machines:
    """Only the edge has a host."""
    edge = machines.nodes["edge"].model_copy(update=changes)
    ue = machines.nodes["ue"].model_copy(update={"ssh": None})
    return machines.model_copy(update={"nodes": {"ue": ue, "edge": edge}})


@needs_sshd
def test_both_nodes_are_up_until_they_are_taken_down(machines: Machines, host: Hosts) -> None:
    said = list(up(machines))
    assert [line.split()[1] for line in said] == ["edge", "ue"]
    running = host.started()
    assert [str(p.pid) in line for p, line in zip(running, said, strict=True)] == [True, True]
    assert [line.split()[1] for line in down(machines)] == ["ue", "edge"]
    assert not host.started()


@needs_sshd
def test_up_leaves_a_node_that_runs_as_it_is(machines: Machines, host: Hosts) -> None:
    list(up(alone(machines)))
    before = [p.pid for p in host.started()]
    [said] = up(alone(machines))
    assert "is up already" in said
    assert [p.pid for p in host.started()] == before


@needs_sshd
def test_down_of_nodes_that_do_not_run_says_so(machines: Machines) -> None:
    assert ["does not run" in said for said in down(machines)] == [True, True]


@needs_sshd
def test_down_waits_until_a_node_has_finished(machines: Machines) -> None:
    Path(str(machines.nodes["edge"].config)).write_text("ends_after_s=0.6\n")
    list(up(alone(machines)))
    list(down(alone(machines)))
    assert Path(f"{machines.nodes['edge'].config}.up").read_text().endswith("ended\n")


@needs_sshd
def test_down_spares_who_has_the_pid_of_a_node_that_is_gone(
    machines: Machines, host: Hosts
) -> None:
    list(up(alone(machines)))
    [node] = host.started()
    [record] = host.state.glob(f"{machines.name}-edge.pid")
    with subprocess.Popen(["sleep", "60"]) as stranger:
        record.write_text(record.read_text().replace(str(node.pid), str(stranger.pid), 1))
        [said] = down(alone(machines))
        spared = stranger.poll() is None
        stranger.kill()
    node.kill()
    assert spared
    assert "does not run" in said


@needs_sshd
def test_a_node_that_something_else_started_is_left_alone(machines: Machines) -> None:
    place = machines.nodes["edge"]
    argv = [str(place.command), "serve", "--config", str(place.config)]
    with subprocess.Popen(argv) as node:
        until(lambda: not subprocess.run([*argv, "--check"], check=False).returncode, node)
        assert "something else started it" in next(up(alone(machines)))
        assert "something else started it" in next(down(alone(machines)))
        running = node.poll() is None
        node.kill()
    assert running


@needs_sshd
def test_a_node_that_dies_at_its_start_is_an_error_with_its_last_word(machines: Machines) -> None:
    Path(str(machines.nodes["edge"].config)).write_text("echo no such interface: eth7; exit 3\n")
    with pytest.raises(NodeError, match=r"edge node at .* died: no such interface: eth7"):
        list(up(alone(machines)))


@needs_sshd
def test_a_command_that_is_not_there_is_named(machines: Machines) -> None:
    with pytest.raises(NodeError, match="/nowhere/edge-node"):
        list(up(alone(machines, command="/nowhere/edge-node")))


@needs_sshd
def test_a_host_that_cannot_be_reached_is_an_error_of_the_machine(machines: Machines) -> None:
    with pytest.raises(MachineError, match=r"cannot reach ssh://.* refused"):
        list(up(alone(machines, ssh=f"ssh://{HERE}:{free_port()}")))


def test_a_topology_without_hosts_says_what_to_give() -> None:
    place = NodePlace(control=f"{HERE}:1")
    with pytest.raises(UsageError, match="ssh: user@host"):
        list(up(Machines(name="none", nodes={"ue": place, "edge": place})))


def test_a_host_without_a_configuration_says_what_to_give() -> None:
    place = NodePlace(control=f"{HERE}:1", ssh="edge.example")
    with pytest.raises(UsageError, match=r"`config:`, the path of a file at edge.example"):
        list(up(Machines(name="none", nodes={"ue": place, "edge": place})))


def test_the_topology_that_comes_along_has_hosts_and_tls() -> None:
    topology = load_topology(ROOT / "topologies" / "two-machines.yaml")
    assert isinstance(topology, Machines)
    assert topology.tls
    assert not topology.insecure
    assert all(place.ssh and place.config for place in topology.nodes.values())
