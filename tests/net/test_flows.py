"""Flows other than uplink over a link that the kernel shapes, as a user has them measured."""

from pathlib import Path

import pytest

from netem.link import Link
from netem.wire import wire_bytes
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import FLOWS
from orchestrator.ask.sweep_config import sweep_config
from orchestrator.results.columns.flow import flow_columns
from orchestrator.results.reading import read_folder
from orchestrator.results.rows import Row
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.site import prepared
from orchestrator.testbed.testbed import testbed as brought_up
from tests.net.sweeps import Place
from tests.node.loopback import LAYERS, small_model

pytestmark = pytest.mark.usefixtures("backend")

PAIRS = [flow for flow, one in FLOWS.items() if {*one.nodes} == {"ue", "edge"}]
OTHERS = [flow for flow in PAIRS if flow != "uplink"]
FRAMES = 5


@pytest.fixture(scope="module", params=OTHERS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One sweep of a flow, read by several tests."""
    place = Place(tmp_path_factory.mktemp("sweep"))
    asked = ["--flow", request.param, "--split", "2:4", "--bw", "20", "--delay-ms", "2"]
    done = place.sweep(*asked, "--codec", "raw,fp16", "--input-codec", "raw,uint8", "--runs", "3")
    (place.folder / "flow").write_text(request.param)
    (place.folder / "stdout").write_text(done.stdout)
    assert done.returncode in (0, 1), done.stderr + done.stdout
    return place


def flow_of(place: Place) -> str:
    return (place.folder / "flow").read_text()


def rows_of(place: Place) -> list[Row]:
    return read_folder(place.out).rows


def test_every_cell_is_measured_and_gives_what_the_whole_model_does(place: Place) -> None:
    for row in rows_of(place):
        # what else runs on this machine may come between two stages, and between nothing else
        assert row.valid or row.reason.startswith("stages leave"), row.reason
        assert row.frames >= 3
        assert row.flow == flow_of(place)
        if row.lossless and row.anchor != "device anchor":
            assert row.max_abs_diff is not None
            assert row.max_abs_diff < 1e-6


def test_the_anchors_are_those_of_the_flow(place: Place) -> None:
    found = {row.anchor: row.split for row in rows_of(place) if row.anchor}
    assert found == {"network anchor": f"{LAYERS}:0", "device anchor": f"0:{LAYERS}"}
    assert f"Flow {flow_of(place)}: " in (place.folder / "stdout").read_text()


def test_no_frame_beats_the_floor_of_all_its_hops(place: Place) -> None:
    for row in rows_of(place):
        assert row.e2e_over_bound is not None
        assert row.e2e_over_bound >= 0.98
        hops = 0 if row.codec == "none" else len(FLOWS[row.flow].hops)
        assert (row.bound_ms or 0) >= 2 * hops  # the delay of each


def test_the_table_has_the_columns_of_the_flow(place: Place) -> None:
    more = [*flow_columns(flow_of(place))]
    for line in place.rows():
        assert [*line][-len(more) :] == more
        assert all(line[name] for name in more)


@pytest.mark.parametrize("flow", PAIRS)
def test_interfaces_carry_what_rows_say_hop_by_hop(flow: str, tmp_path: Path) -> None:
    file = small_model(tmp_path / "model.onnx", side=96)
    config = sweep_config({"model": str(file), "flow": flow, "bw": "100", "delivery": False})
    with (
        prepared(config) as ready,
        brought_up(ready.site, model := ready.local.model, config.flow_links) as bed,
    ):
        link, parts = bed.link, Parts(bed.pair, model, config)
        assert isinstance(link, Link)
        asked = Configuration(2, model.graph.n, "2:4", flow=flow)
        parts.load(asked)
        parts.assign(asked)
        before = link.ue.counters()[link.ue_device]
        told = [bed.pair.run_frame(n, 0, 60, parts.assignment(asked)) for n in range(FRAMES)]
        carried = link.ue.counters()[link.ue_device].since(before)
    ways = {"uplink": carried.sent_bytes, "downlink": carried.received_bytes}
    for hop in FLOWS[flow].hops:
        sizes = [one.bytes for said in told for one in said.stages if one.name == hop]
        assert len(sizes) == FRAMES
        floor = sum(map(wire_bytes, sizes))
        # headers of frames and messages, and what acknowledges the other way
        assert floor <= ways[hop] <= 1.02 * floor + 70_000


def test_a_chain_is_measured_over_both_of_its_links(tmp_path: Path) -> None:
    place = Place(tmp_path)
    asked = ["--flow", "chain", "--split", "2:4+5:1", "--bw", "20", "--delay-ms", "2"]
    asked += ["--link-of", "backhaul:rate_mbit=40,delay_ms=5"]
    done = place.sweep(*asked, "--no-delivery", "--runs", "3")
    assert done.returncode in (0, 1), done.stderr + done.stdout
    table = rows_of(place)
    whole = f"{LAYERS}"
    assert [row.split for row in table] == [f"0:0:{whole}", f"0:{whole}:0", "2:3:1", f"{whole}:0:0"]
    for row in table:
        assert row.valid or row.reason.startswith("stages leave"), row.reason
        assert row.e2e_over_bound is not None
        assert row.e2e_over_bound >= 0.98
        assert row.link == "20 Mbit/s, 2 ms and 40 Mbit/s, 5 ms"
        assert row.link_mbit == pytest.approx(20, rel=0.03)
        assert row.value("link2_mbit") == pytest.approx(40, rel=0.03)
        assert float(str(row.value("link2_rtt_ms"))) >= 10
    cloud, edge, split, _ = table
    assert all((row.max_abs_diff or 0) < 1e-6 for row in (cloud, edge, split))
    # up and back over both links, or over the first alone: the delay of each
    assert (split.bound_ms or 0) >= 14
    assert (edge.bound_ms or 0) >= 4
    assert split.value("uplink2_bytes")
    assert edge.value("uplink2_bytes") == 0
