"""Topologies that are, and those that are refused by name before anything starts."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from orchestrator.ask.topology import Machines, Namespaces, Topology, load_topology
from splitbed.errors import UsageError

CHAIN = {
    "name": "chain",
    "nodes": ["ue", "edge", "cloud"],
    "links": {
        "access": {"ends": ["ue", "edge"]},
        "backhaul": {"ends": ["edge", "cloud"]},
    },
}
SHARED_LINKS = {"one": {"ends": ["ue-1", "edge"]}, "two": {"ends": ["ue-2", "edge"]}}
SHARED = {
    "name": "mine",
    "shared": True,
    "nodes": ["ue-1", "ue-2", "edge"],
    "links": SHARED_LINKS,
}
PLACES = {name: {"control": f"192.0.2.{n}:50052"} for n, name in enumerate(["ue", "edge", "cloud"])}


def loaded(tmp_path: Path, content: Mapping[str, object]) -> Topology:
    (file := tmp_path / "topology.yaml").write_text(yaml.safe_dump(dict(content), sort_keys=False))
    return load_topology(file)


def test_one_link_joins_ue_and_edge_where_none_is_named(tmp_path: Path) -> None:
    for topology in (
        load_topology(None),
        loaded(tmp_path, {"name": "x", "ue": PLACES["ue"], "edge": PLACES["edge"]}),
    ):
        assert topology.names == ("ue", "edge")
        assert [place.ends for place in topology.links.values()] == [("ue", "edge")]


def test_a_topology_names_its_nodes_and_links(tmp_path: Path) -> None:
    chain = loaded(tmp_path, CHAIN)
    assert isinstance(chain, Namespaces)
    assert chain.names == ("ue", "edge", "cloud")
    assert chain.links["backhaul"].ends == ("edge", "cloud")
    assert [*chain.subnets.values()] == ["10.77.0.0/24", "10.77.1.0/24"]


def test_machines_have_names_and_links_as_namespaces_do(tmp_path: Path) -> None:
    three = loaded(tmp_path, CHAIN | {"nodes": PLACES, "insecure": True})
    assert isinstance(three, Machines)
    assert three.names == ("ue", "edge", "cloud")
    assert three.nodes["cloud"].control == "192.0.2.2:50052"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"access": {"ends": ["ue", "egde"]}},
            "ends at egde, which is no node of it; did you mean",
        ),
        ({"access": {"ends": ["edge", "edge"]}}, "both ends of the link access are edge"),
        ({"access": {"ends": ["edge", "ue"]}}, "give its ends as [ue, edge]"),
        ({"access": {"ends": ["ue"]}}, "links.access.ends"),
        ({"access": {"ends": ["cloud", "edge"]}}, "join the same nodes"),
        ({"access": {"ends": ["ue", "edge"], "subnet": "10.77.1.128/25"}}, "overlap"),
        ({"access": {"ends": ["ue", "edge"], "rate": 5}}, "rate is no key of it"),
        ({"access": {"ends": ["ue", "edge"], "shape": {"bw": 5}}}, "bw is no key of it"),
        ({"backhaul": {"ends": ["ue", "cloud"]}, "access": None}, "access"),
    ],
)
def test_links_that_cannot_be_are_refused_by_name(
    tmp_path: Path, changed: dict[str, object], says: str
) -> None:
    links = CHAIN["links"]
    assert isinstance(links, dict)
    with pytest.raises(UsageError, match="is no topology") as refused:
        loaded(tmp_path, CHAIN | {"links": links | changed})
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        (["ue", "edge", "cloud", "far"], "no link reaches far"),
        (["ue", "edge", "cloud", "ue"], "a node is named twice"),
        (["ue", "edge", "the cloud"], "nodes"),
        ({"ue": PLACES["ue"], "edge": {}}, "control is missing"),
    ],
)
def test_nodes_that_cannot_be_are_refused_by_name(tmp_path: Path, nodes: object, says: str) -> None:
    with pytest.raises(UsageError, match="is no topology") as refused:
        loaded(tmp_path, CHAIN | {"nodes": nodes})
    assert says in str(refused.value)


def test_the_way_of_a_ue_is_none_that_a_link_has_of_its_own(tmp_path: Path) -> None:
    link = {"ends": ["ue", "edge"], "subnet": "10.77.3.0/24"}
    shared = loaded(tmp_path, {"name": "x", "nodes": ["ue", "edge"], "links": {"link": link}})
    assert isinstance(shared, Namespaces)
    assert shared.accesses(["ue-1", "ue-2"])["ue-2"] == "10.77.2.0/24"
    with pytest.raises(UsageError, match=r"ue-3 to the link would be 10\.77\.3\.0/24, which overl"):
        shared.accesses(["ue-1", "ue-2", "ue-3"])


def test_a_ue_of_several_has_no_less_of_a_processor_than_one_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cpus"):
        loaded(tmp_path, {"name": "x", "ues": {"ue-1": {"cpus": 0.001}}})


def test_links_may_be_one_that_all_share(tmp_path: Path) -> None:
    found = loaded(tmp_path, SHARED)
    assert isinstance(found, Namespaces)
    assert found.shared_subnet not in found.subnets.values()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (CHAIN, "where several nodes dial the same other: those here join ue-edge, edge-cloud"),
        ({"nodes": ["ue", "edge"], "links": {"link": {"ends": ["ue", "edge"]}}}, "join ue-edge"),
        (
            {"links": {**SHARED_LINKS, "two": {"ends": ["ue-2", "edge"], "shape": "lte"}}},
            "two has a shape of its own",
        ),
        (
            {
                "links": {
                    **SHARED_LINKS,
                    "two": {"ends": ["ue-2", "edge"], "subnet": "10.77.2.0/24"},
                }
            },
            "of two and the link that is shared",
        ),
    ],
)
def test_links_that_cannot_be_one_are_refused(
    tmp_path: Path, changed: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        loaded(tmp_path, SHARED | changed)
