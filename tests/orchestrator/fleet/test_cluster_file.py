"""A file that `ray up` takes says where the head is, or why that cannot be read in it."""

from pathlib import Path

import pytest

from orchestrator.fleet.cluster_file import address_in
from splitbed.errors import UsageError

ELSEWHERE = "198.51.100.7"
STARTED = """
head_start_ray_commands:
  - ray stop
  - ulimit -c unlimited; ray start --head --port=6400 --ray-client-server-port 10002
"""


@pytest.mark.parametrize(
    ("head", "workers", "more", "address"),
    [
        ("127.0.0.1", "", "", "127.0.0.1:6379"),
        ("localhost", ELSEWHERE, STARTED, "localhost:6400"),
        (ELSEWHERE, "127.0.0.1", STARTED, f"{ELSEWHERE}:6400"),
        (ELSEWHERE, "198.51.100.8", "", f"ray://{ELSEWHERE}:10001"),
        (ELSEWHERE, "", STARTED, f"ray://{ELSEWHERE}:10002"),
    ],
)
def test_a_cluster_is_reached_at_its_head_as_this_machine_is_of_it_or_not(
    tmp_path: Path, head: str, workers: str, more: str, address: str
) -> None:
    provider = f"provider: {{type: local, head_ip: {head}, worker_ips: [{workers}]}}"
    (file := tmp_path / "cluster.yaml").write_text(f"cluster_name: rack\n{provider}\n{more}")
    assert address_in(file) == address


def test_a_head_that_has_another_address_for_those_outside_is_asked_there(tmp_path: Path) -> None:
    provider = f"{{type: local, head_ip: {ELSEWHERE}, external_head_ip: 203.0.113.9}}"
    (file := tmp_path / "cluster.yaml").write_text(f"provider: {provider}")
    assert address_in(file) == "ray://203.0.113.9:10001"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("provider: {type: aws, region: us-west-2}", "is of the provider aws.*ray get-head-ip"),
        ("provider: {type: local, coordinator_address: a:1}", "has no head_ip"),
        ("provider: {type: local, head_ip: [1], worker_ips: []}", "head_ip must be an address"),
        ("model: shapesnet", "is no Ray cluster file"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_file_that_does_not_say_where_its_head_is_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    (file := tmp_path / "cluster.yaml").write_text(text)
    with pytest.raises(UsageError, match=said):
        address_in(file)
    with pytest.raises(UsageError, match="cannot read the Ray cluster file"):
        address_in(tmp_path / "none.yaml")
