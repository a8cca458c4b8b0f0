"""What a node's options and file may say of the nodes that it has links to."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from splitbed.errors import UsageError
from splitbed.node.config import EdgeConfig, UeConfig, is_node_name, load_node_config

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


@pytest.mark.parametrize(
    ("word", "can_be"), [("ue-1", True), ("u" * 31, True), ("u" * 32, False), ("1", False)]
)
def test_a_node_is_called_by_a_short_word(word: str, can_be: bool) -> None:
    assert is_node_name(word) == can_be


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


def test_what_a_file_names_is_beside_it(tmp_path: Path) -> None:
    tls = {"ca": "ca.pem", "cert": "edge.pem", "key": "/elsewhere/edge.key"}
    (file := tmp_path / "edge.yaml").write_text(
        yaml.safe_dump(EDGE | {"tls": tls, "token_file": "token"})
    )
    config = load_node_config(EdgeConfig, file, {"metrics": None, "log": "json"})
    assert config.tls is not None
    assert (config.tls.ca, config.tls.cert) == (tmp_path / "ca.pem", tmp_path / "edge.pem")
    assert (config.tls.key, config.token_file) == (Path("/elsewhere/edge.key"), tmp_path / "token")
    assert (config.log, config.metrics) == ("json", None)


def test_a_node_is_safe_unless_it_is_told_otherwise() -> None:
    config = load_node_config(EdgeConfig, None, EDGE | {"shaper": {"dev": "eth0"}})
    assert (config.insecure, config.tls, config.token_file) == (False, None, None)
    assert (config.shaper[0].ingress, config.grace_s) == (False, 30)
    assert load_node_config(EdgeConfig, None, EDGE).shaper == ()


@pytest.mark.parametrize(("grace_s", "fits"), [(0, True), (35, True), (-0.1, False), (35.1, False)])
def test_a_node_ends_before_it_would_be_killed(grace_s: float, fits: bool) -> None:
    if fits:
        assert load_node_config(EdgeConfig, None, EDGE | {"grace_s": grace_s}).grace_s == grace_s
    else:
        with pytest.raises(UsageError, match="grace_s"):
            load_node_config(EdgeConfig, None, EDGE | {"grace_s": grace_s})


def test_what_cannot_be_is_told_with_where_it_was_said(tmp_path: Path) -> None:
    (file := tmp_path / "edge.yaml").write_text(yaml.safe_dump(EDGE | {"nme": "x"}))
    with pytest.raises(UsageError, match=f"the configuration {file} is none for an edge node: nme"):
        load_node_config(EdgeConfig, file, {})
    with pytest.raises(UsageError, match="what was asked is none for a UE node"):
        load_node_config(UeConfig, None, {"edge": "127.0.0.1:6"})
