"""Flows: what their stations do with a split, what crosses between them, which ends are anchors."""

from collections.abc import Sequence

import pytest

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import (
    FLOWS,
    Flow,
    anchor_of,
    anchors_of,
    branches,
    check_flow,
    flow_named,
    nodes_of,
)
from orchestrator.ask.heads import shared_out
from orchestrator.ask.itinerary import crossings, crossings_of, itinerary
from orchestrator.results.columns.flow import flow_columns
from splitbed.errors import UsageError
from splitbed.flow import Itinerary

RELAY = Flow(
    "the edge has the source, the cloud all layers",
    (("edge", 0), ("cloud", 1), ("edge", 0), ("ue", 0)),
    (("ue", "edge"), ("edge", "cloud")),
)
"""One more entry of the table."""


def coded(flow: str, cuts: Sequence[int], n: int = 8, user: int = 0) -> Itinerary:
    return itinerary(flow, cuts, n, "int8", "jpeg:75", user=user)


def told(stations: Itinerary) -> str:
    """As a table of flows writes it: `ue: source, 0-3, int8 | edge: 3-8, result, raw | ue`."""
    words = []
    for one in stations:
        does = ["source"] if one.source else []
        does += [f"{one.first}-{one.last}"] if one.last > one.first else []
        does += (["result"] if one.result else []) + ([one.gives] if one.gives else [])
        words.append(": ".join(filter(None, (one.node, ", ".join(does)))))
    return " | ".join(words)


@pytest.mark.parametrize(
    ("flow", "k", "stations"),
    [
        ("uplink", 3, "ue: source, 0-3, int8 | edge: 3-8, result, raw | ue"),
        ("uplink", 0, "ue: source, jpeg:75 | edge: 0-8, result, raw | ue"),
        ("uplink", 8, "ue: source, 0-8, result"),
        ("downlink", 3, "ue: source, jpeg:75 | edge: 0-3, int8 | ue: 3-8, result"),
        ("downlink", 0, "ue: source, 0-8, result"),
        ("downlink", 8, "ue: source, jpeg:75 | edge: 0-8, result, raw | ue"),
        ("remote-source", 3, "edge: source, 0-3, int8 | ue: 3-8, result"),
        ("remote-source", 0, "edge: source, jpeg:75 | ue: 0-8, result"),
        ("remote-source", 8, "edge: source, 0-8, result, raw | ue"),
        ("call", 3, "ue-a: source, jpeg:75 | network: 0-3, int8 | ue-b: 3-8, result"),
        ("call", 0, "ue-a: source, jpeg:75 | network: jpeg:75 | ue-b: 0-8, result"),
    ],
)
def test_stations_follow_from_the_flow_and_the_cut(flow: str, k: int, stations: str) -> None:
    assert told(coded(flow, [k], 8)) == stations


def test_the_part_of_a_station_is_that_of_the_split_wherever_it_runs() -> None:
    parts = {k: [one.part for one in itinerary("downlink", [k], 8)] for k in (0, 3, 8)}
    assert parts == {0: [2], 3: [0, 1, 2], 8: [0, 1, 2]}


@pytest.mark.parametrize(
    ("cuts", "stations", "hops"),
    [
        (
            (2, 5),
            "ue: source, 0-2, int8 | edge: 2-5, int8 | cloud: 5-8, result, raw | edge: raw | ue",
            "uplink uplink2 downlink2 downlink",
        ),
        ((2, 8), "ue: source, 0-2, int8 | edge: 2-8, result, raw | ue", "uplink downlink"),
        ((8, 8), "ue: source, 0-8, result", ""),
    ],
)
def test_a_chain_has_two_cuts_and_goes_no_farther_than_its_layers(
    cuts: tuple[int, ...], stations: str, hops: str
) -> None:
    found = coded("chain", cuts, 8)
    assert told(found) == stations
    assert " ".join(hop for hop, _ in crossings("chain", found)) == hops


def test_one_entry_of_the_table_makes_a_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FLOWS, "relay", RELAY)
    found = coded("relay", [], 8)
    assert told(found) == "edge: source, jpeg:75 | cloud: 0-8, result, raw | edge: raw | ue"
    assert [hop for hop, _ in crossings("relay", found)] == ["uplink2", "downlink2", "downlink"]
    assert anchors_of("chain", 8)["network anchor (edge)"] == (0, 8)


def test_outputs_that_cross_encoded_are_made_results_where_they_are_wanted() -> None:
    found = itinerary("remote-source", [8], 8, output_codec="hevc:30")
    assert told(found) == "edge: source, 0-8, hevc:30 | ue: result"


def test_in_a_call_the_outputs_of_the_whole_model_are_coded_and_what_is_handed_on_is_not() -> None:
    network = Configuration(8, 8, "network anchor", "avc:22", flow="call", input_codec="avc:30")
    assert told(network.itinerary) == "ue-a: source, avc:30 | network: 0-8, avc:22 | ue-b: result"
    assert network.coding == ((0, "avc:30"), (8, "avc:22"))
    assert (network.cut, network.lossless) == (8, False)
    ue_b = Configuration(0, 8, "device anchor", "avc:30", flow="call")
    assert ue_b.crossings == (("uplink", 0), ("downlink2", 0))
    assert ue_b.coding == ((0, "avc:30"),)


def test_a_flow_of_two_users_has_a_way_to_each_that_begins_with_the_same_work() -> None:
    ways = [coded("multi-head", [3], user=user) for user in (0, 1)]
    assert [told(way) for way in ways] == [
        f"edge: source, 0-3, int8 | ue-{number}: 3-8, result" for number in (1, 2)
    ]
    assert ways[0][0] == ways[1][0]
    both = Configuration(3, 8, "middle", "int8", flow="multi-head", heads=((0,), (1, 2)))
    assert [way[-1].outputs for way in both.itineraries] == [(0,), (1, 2)]
    assert both.crossings == both.carrying == (("downlink", 3), ("downlink2", 3))
    assert both.coding == ((3, "int8"),)


def test_one_entry_of_the_table_makes_a_flow_of_three_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ways = [(("edge", 1), (f"ue-{number}", 2)) for number in (1, 2, 3)]
    links = tuple((f"ue-{number}", "edge") for number in (1, 2, 3))
    trio = Flow("the edge has the source", ways[0], links, besides=(*ways[1:],))
    monkeypatch.setitem(FLOWS, "trio", trio)
    assert shared_out(trio.users, "abcd") == ((0,), (1,), (2, 3))
    assert crossings_of("trio", "3:5") == (("downlink", 3), ("downlink2", 3), ("downlink3", 3))
    way = ["decode", "part2"]
    stages = ["part1", "downlink", *way, "downlink2", *way, "downlink3", *way]
    assert branches("trio", stages) == [[0, 1, 2, 3], [0, 4, 5, 6], [0, 7, 8, 9]]
    assert {"ue_3_e2e_ms", "ue_3_part2_ms", "downlink3_bytes"} <= {*flow_columns("trio")}
    flow_columns.cache_clear()


def test_all_on_the_edge_both_users_get_the_result_and_no_head_is_cut() -> None:
    edge = Configuration(8, 8, "network anchor", flow="multi-head", heads=((0,), (1,)))
    assert [told(way) for way in edge.itineraries] == [
        f"edge: source, 0-8, result, raw | ue-{number}" for number in (1, 2)
    ]
    assert {one.outputs for way in edge.itineraries for one in way} == {()}
    assert (edge.carrying, edge.coding) == ((), ())


@pytest.mark.parametrize(
    ("outputs", "heads"),
    [(1, ((), ())), (2, ((0,), (1,))), (3, ((0,), (1, 2))), (4, ((0, 1), (2, 3)))],
)
def test_outputs_are_shared_out_among_users_in_order(
    outputs: int, heads: tuple[tuple[int, ...], ...]
) -> None:
    assert shared_out(FLOWS["multi-head"].users, "abcd"[:outputs]) == heads
    assert shared_out(FLOWS["chain"].users, "abcd"[:outputs]) == ((),)


def test_the_stages_to_each_user_are_told_apart_and_those_of_all_are_on_every_way() -> None:
    way = ["decode", "part2", "result"]
    stages = ["preprocess", "part1", "encode", "downlink", *way, "downlink2", *way]
    first, second = branches("multi-head", stages)
    assert [stages[place] for place in first] == stages[:7]
    assert [stages[place] for place in second] == [*stages[:3], *stages[7:]]
    assert nodes_of("multi-head", stages) == ["edge"] * 4 + ["ue-1"] * 3 + ["edge"] + ["ue-2"] * 3
    there_and_back = ["part1", "uplink", "uplink2", "downlink2", "downlink"]
    assert branches("chain", there_and_back) == [[0, 1, 2, 3, 4]]


def test_a_hop_carries_a_cut_or_results() -> None:
    one_cut = [name for name, flow in FLOWS.items() if flow.parts == 2]
    of = {flow: crossings(flow, itinerary(flow, [3], 8)) for flow in one_cut}
    assert of["uplink"] == (("uplink", 3), ("downlink", 8))
    assert of["downlink"] == (("uplink", 0), ("downlink", 3))
    assert of["multi-head"] == (("downlink", 3),)
    assert of["remote-source"] == (("downlink", 3),)
    assert of["call"] == (("uplink", 0), ("downlink2", 3))


def test_the_anchors_are_where_one_node_does_it_all() -> None:
    usual = {"network anchor": (8,), "device anchor": (0,)}
    assert {flow: anchors_of(flow, 8) for flow in FLOWS} == {
        "uplink": {"network anchor": (0,), "device anchor": (8,)},
        "downlink": usual,
        "remote-source": usual,
        "multi-head": usual,
        "chain": {
            "network anchor (cloud)": (0, 0),
            "network anchor (edge)": (0, 8),
            "device anchor": (8, 8),
        },
        "call": usual,
    }
    assert anchor_of("chain", "0:8:0") == anchor_of("chain", "0:0:8") == "network anchor"
    assert anchor_of("chain", "0:3:5") is None
    assert anchor_of("downlink", "3:5") is None
    assert anchor_of("uplink", "3:5", "private anchor") == "private anchor"


def test_each_stage_is_told_with_its_node() -> None:
    stages = [
        "preprocess",
        "encode",
        "uplink",
        "decode",
        "part1",
        "encode",
        "downlink",
        "decode",
        "part2",
        "result",
    ]
    nodes = ["ue", "ue", "ue", "edge", "edge", "edge", "edge", "ue", "ue", "ue"]
    assert nodes_of("downlink", stages) == nodes
    assert nodes_of("remote-source", ["part1", "downlink", "part2"]) == ["edge", "edge", "ue"]


def test_a_flow_says_which_node_or_link_a_topology_lacks() -> None:
    pair = [("ue", "edge")]
    for flow in ("uplink", "downlink", "remote-source"):
        check_flow(flow, ["ue", "edge"], pair, "pair")
    with pytest.raises(UsageError, match="chain needs a node cloud and a link from edge to cloud"):
        check_flow("chain", ["ue", "edge"], pair, "pair")
    with pytest.raises(UsageError, match="which the topology trio does not have"):
        check_flow("chain", ["ue", "edge", "cloud"], pair, "trio")
    with pytest.raises(UsageError, match="no flow is called 'downlnik'; did you mean downlink"):
        flow_named("downlnik")
