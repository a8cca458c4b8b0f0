"""Nodes as long-lived services: configured by a file, asked how they are, told to stop."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import yaml
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.node.loopback import free_port
from tests.shared_machine import until


@dataclass(frozen=True)
class Service:
    """An edge node that runs as its file says."""

    config: Path
    control: str
    process: "subprocess.Popen[str]"

    def check(self) -> "subprocess.CompletedProcess[str]":
        argv = [*command(self.config), "--check"]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


def command(config: Path) -> list[str]:
    return [sys.executable, "-m", "edge_node", "serve", "--config", str(config)]


def write(folder: Path, **more: object) -> tuple[Path, str]:
    control = f"127.0.0.1:{free_port()}"
    asked = {"listen": f"127.0.0.1:{free_port()}", "control": control, "log": "json"}
    (file := folder / "edge.yaml").write_text(yaml.safe_dump(asked | more))
    return file, control


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    config, control = write(tmp_path)
    process = subprocess.Popen(command(config), stderr=subprocess.PIPE, text=True)
    with process:
        service = Service(config, control, process)
        until(lambda: _listens(control), process)
        yield service
        process.kill()


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as sock:
        return sock.connect_ex((host, int(port))) == 0


def test_a_node_is_checked_and_lists_its_services_and_tells_in_json_that_it_stops(
    service: Service,
) -> None:
    assert service.check().returncode == 0
    with grpc.insecure_channel(service.control) as channel:
        listed = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert {"splitbed.v1.Node", "splitbed.v1.Edge", "grpc.health.v1.Health"} <= listed
    assert "splitbed.v1.Data" not in listed  # which the data plane has, and nothing else does
    service.process.send_signal(signal.SIGTERM)
    _, err = service.process.communicate(timeout=10)
    assert service.process.returncode == 0
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert events == ["serving", "stopping"]
    stopped = service.check()
    assert stopped.returncode == 1
    assert f"cannot reach {service.control}" in stopped.stderr


def test_what_a_killed_node_left_goes_when_the_next_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (temporary := tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    config, _ = write(tmp_path)
    seen = []
    for _ in range(2):
        process = subprocess.Popen(command(config), stderr=subprocess.PIPE, text=True)
        with process:
            while '"serving"' not in (process.stderr.readline() if process.stderr else ""):
                assert process.poll() is None
            seen.append([folder.name for folder in temporary.iterdir()])
            process.kill()
    assert [len(folders) for folders in seen] == [1, 1]
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"lisen": "127.0.0.1:1"}, "lisen"),
        ({"listen": "0.0.0.0:50051"}, "others reach it"),
        ({"limits": {"sessions": 0}}, "limits.sessions"),
        ({"tls": {"ca": "a.pem", "cert": "b.pem", "key": "c.key"}}, "b.pem"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_the_key(
    more: dict[str, object], says: str, tmp_path: Path
) -> None:
    config, _ = write(tmp_path, **more)
    done = subprocess.run(command(config), capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
