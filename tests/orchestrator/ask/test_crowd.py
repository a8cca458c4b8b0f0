"""Who shares a link: what is asked of several UEs, and what each of them then does."""

from pathlib import Path

import pytest

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.crowd import OwnUe, crowds
from orchestrator.ask.links import OwnShape
from orchestrator.ask.load import load_named
from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep.config import sweep_config
from splitbed.errors import UsageError

LINK = symmetric(rate_mbit=20, delay_ms=5)
NAMED = "name: mine\nues:\n  ue-1: {}\n  ue-2: {slowdown: 2}\n"


def names_of(**options: object) -> list[list[str]]:
    config = sweep_config({"model": "shapesnet", **options})
    return [[own.name for own in ues] for ues in crowds(config)]


def test_one_ue_is_no_crowd_and_several_are_called_by_number() -> None:
    assert names_of() == names_of(ues="1") == [[]]
    assert names_of(ues="3,1") == [["ue-1"], ["ue-1", "ue-2", "ue-3"]]


def test_a_topology_names_them(tmp_path: Path) -> None:
    (file := tmp_path / "mine.yaml").write_text(NAMED)
    assert names_of(topology=file) == [["ue-1", "ue-2"]]
    assert names_of(topology=file, ues=1) == [["ue-1"]]
    with pytest.raises(UsageError, match="names 2, ue-1, ue-2: give as many or fewer"):
        names_of(topology=file, ues=3)


@pytest.mark.parametrize(
    ("more", "asked", "words"),
    [
        ("", {"ues": 2}, "the machines of rack have each an interface and a clock of its own"),
        ("ues: {ue-1: {}}\n", {}, "ues: several share one link, which is shaped"),
    ],
)
def test_several_ues_on_machines_are_refused_by_what_they_lack(
    more: str, asked: dict[str, object], words: str, tmp_path: Path
) -> None:
    places = "ue: {control: '192.0.2.1:1'}\nedge: {control: '192.0.2.2:1'}\n"
    (file := tmp_path / "rack.yaml").write_text(f"name: rack\ninsecure: true\n{places}{more}")
    with pytest.raises(UsageError, match=words):
        names_of(topology=file, **asked)


SHARED = Path("topologies/multi-head-shared.yaml")


def test_the_ues_of_links_that_are_one_are_those_of_the_topology() -> None:
    with pytest.raises(UsageError, match="has the UEs that share its link: leave --ues"):
        names_of(topology=SHARED, flow="multi-head", ues=2)


def test_links_that_nothing_shares_are_not_shared(tmp_path: Path) -> None:
    (file := tmp_path / "call.yaml").write_text(
        "name: mine\nnodes: [ue-a, network, ue-b]\nshared: true\n"
        "links:\n  one: {ends: [ue-a, network]}\n  other: {ends: [ue-b, network]}\n"
    )
    with pytest.raises(UsageError, match="in the flow call it comes to one user: leave shared"):
        names_of(topology=file, flow="call")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"flow": "call"}, "the flow call has the UEs that it has"),
        ({"flow": "multi-head"}, "those of multi-head with a --topology that is `shared`"),
        ({"until_sure": True}, "nothing predicts several UEs"),
        ({"ues": "0"}, "--ues 0"),
        ({"ues": "65"}, "--ues 65"),
        ({"ues": "2.5"}, "--ues 2.5"),
    ],
)
def test_what_cannot_be_is_refused_by_name(asked: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        names_of(**{"ues": "2", **asked})


@pytest.mark.parametrize(
    "own", ["ue: {}", "edge-1: {}", "ue-1: {slowdown: 2, cpus: 1}", "ue-1: {shape: {rate: 1}}"]
)
def test_a_ue_that_cannot_be_is_no_topology(tmp_path: Path, own: str) -> None:
    (file := tmp_path / "mine.yaml").write_text(f"name: mine\nues:\n  {own}\n")
    with pytest.raises(UsageError, match="is no topology"):
        names_of(topology=file)


def test_what_a_ue_has_of_its_own_goes_before_what_is_swept() -> None:
    ues = (
        OwnUe("ue-1"),
        OwnUe("ue-2", "3:3", 3, "fp16", Pace(slowdown=2), shape=OwnShape(delay_ms=20)),
        OwnUe("ue-3", "6:0", 6),
    )
    asked = Configuration(2, 6, "2:4").over([LINK], Pace(), ues)
    first, second, third = asked.each
    assert (first.split, first.codecs, first.link, first.ue) == ("2:4", "raw", LINK, "ue-1")
    assert (second.split, second.codecs, second.pace.words) == ("3:3", "fp16", "2x slower")
    assert second.link is not None
    assert second.link.uplink.delay_ms == 25
    assert (third.split, third.codecs) == ("6:0", "none")
    assert len({one.key for one in asked.each}) == 3
    assert not asked.lossless
    assert asked.key == "2:4 raw over 20 Mbit/s, 5 ms, shared by 3 UEs"
    assert [one.node("ue") for one in asked.each] == ["ue-1", "ue-2", "ue-3"]


def test_a_load_of_ones_own_takes_offered_frames_of_all(tmp_path: Path) -> None:
    (file := tmp_path / "mine.yaml").write_text(
        "name: mine\nues:\n  ue-1: {}\n  ue-2: {load: 'fps:30'}\n"
    )
    [ues] = crowds(sweep_config({"model": "shapesnet", "topology": file, "load": "fps:10"}))
    asked = Configuration(2, 6, "2:4", load=load_named("fps:10")).over([LINK], Pace(), ues)
    assert [one.load.rate_fps for one in asked.each] == [10, 30]
    with pytest.raises(UsageError, match="frames of all are offered"):
        names_of(topology=file)
