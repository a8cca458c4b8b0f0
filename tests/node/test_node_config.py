"""What a node's options and file may say of the nodes that it has links to."""

import subprocess
import sys

import pytest

from splitbed.errors import UsageError
from splitbed.node.config import EdgeConfig, UeConfig, load_node_config

CONTROL = {"control": "127.0.0.1:5"}
EDGE = CONTROL | {"listen": "127.0.0.1:6"}


def refused(*words: str) -> str:
    """What an edge node says that is started so; it does not start."""
    argv = [sys.executable, "-m", "edge_node", "serve", *words]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    return ended.stderr


def test_the_edge_of_a_ue_is_one_of_those_that_it_dials() -> None:
    ue = load_node_config(UeConfig, None, CONTROL | {"edge": "127.0.0.1:6"})
    assert (ue.name, ue.dials) == ("ue", {"edge": "127.0.0.1:6"})
    both: dict[str, object] = {"edge": "127.0.0.1:6", "dials": {"network": "127.0.0.1:7"}}
    assert [*load_node_config(UeConfig, None, both | CONTROL).dials] == ["edge", "network"]


def test_a_ue_dials_somebody() -> None:
    with pytest.raises(UsageError, match="edge is missing"):
        load_node_config(UeConfig, None, CONTROL)


def test_one_shaper_needs_no_name_and_of_several_each_has_its_own() -> None:
    one = load_node_config(EdgeConfig, None, EDGE | {"shaper": {"dev": "eth0"}})
    assert [shaper.towards for shaper in one.shaper] == [None]
    both = [{"dev": "eth0", "towards": "ue"}, {"dev": "eth1", "towards": "cloud"}]
    two = load_node_config(EdgeConfig, None, EDGE | {"shaper": both})
    assert [shaper.dev for shaper in two.shaper] == ["eth0", "eth1"]
    for wrong in ([both[0], {"dev": "eth1"}], [both[0], both[0]]):
        with pytest.raises(UsageError, match="`towards` which other node"):
            load_node_config(EdgeConfig, None, EDGE | {"shaper": wrong})


@pytest.mark.parametrize("word", ["cloud", "=127.0.0.1:7", "cloud="])
def test_a_dial_without_name_or_place_is_refused(word: str) -> None:
    assert f"--dial {word}: give NAME=IP:PORT" in refused("--dial", word)


def test_a_dialled_address_that_is_none_is_refused() -> None:
    words = ("--control", "127.0.0.1:5", "--listen", "127.0.0.1:6", "--dial", "cloud=::1:7")
    assert "cannot send to '::1:7'" in refused(*words)
