"""Flows other than uplink over a link that the kernel shapes, as a user has them measured."""

import json
from importlib import resources
from pathlib import Path

import pytest

from netem.spec import symmetric
from netem.wire import wire_ms
from orchestrator.ask.flow import FLOWS
from orchestrator.results.columns.flow import flow_columns
from orchestrator.results.reading import read_folder
from orchestrator.results.rows import Row
from tests.net.sweeps import Place
from tests.node.loopback import LAYERS
from tests.shared_machine import blames_the_machine

pytestmark = pytest.mark.usefixtures("backend", "anchors_once")

OTHERS = [
    flow for flow, one in FLOWS.items() if {*one.nodes} == {"ue", "edge"} and flow != "uplink"
]


DELAY_MS = 5
"""Of links under a load."""


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
        assert row.valid or blames_the_machine(row.reason), row.reason
        assert row.frames >= 3
        assert row.flow == flow_of(place)
        if row.lossless and row.anchor != "device anchor":
            assert row.max_abs_diff is not None
            assert row.max_abs_diff < 1e-5


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
        assert row.valid or blames_the_machine(row.reason), row.reason
        assert row.e2e_over_bound is not None
        assert row.e2e_over_bound >= 0.98
        assert row.link == "20 Mbit/s, 2 ms and 40 Mbit/s, 5 ms"
        assert row.link_mbit == pytest.approx(20, rel=0.03)
        assert row.value("link2_mbit") == pytest.approx(40, rel=0.03)
        assert float(str(row.value("link2_rtt_ms"))) >= 10
    cloud, edge, split, _ = table
    assert all((row.max_abs_diff or 0) < 1e-5 for row in (cloud, edge, split))
    # up and back over both links, or over the first alone: the delay of each
    assert (split.bound_ms or 0) >= 14
    assert (edge.bound_ms or 0) >= 4
    assert split.value("uplink2_bytes")
    assert edge.value("uplink2_bytes") == 0


def test_frames_that_end_elsewhere_are_all_accounted_for_under_a_load(tmp_path: Path) -> None:
    rows = under_load(Place(tmp_path), "call", "--bw", "20")
    assert all(row.valid or blames_the_machine(row.reason) for row in rows)


def test_two_heads_are_measured_through_one_link_that_they_share(tmp_path: Path) -> None:
    shared = resources.files("topologies") / "multi-head-shared.yaml"
    (file := tmp_path / "shared.yaml").write_text(shared.read_text())
    for row in under_load(Place(tmp_path), "multi-head", "--bw", "5", "--topology", str(file)):
        assert row.valid or blames_the_machine(row.reason), row.reason
        assert row.link == f"5 Mbit/s, {DELAY_MS} ms, shared by 2 UEs"
        assert row.link_down_mbit == pytest.approx(5, rel=0.03)
        both = [row.value(f"{hop}_bytes") for hop in ("downlink", "downlink2")]
        assert both[0] == both[1]
        # what both get goes over the link one after the other, whoever is first
        once_ms = wire_ms(int(float(str(both[0]))), symmetric(rate_mbit=5).downlink)
        assert (row.e2e_ms or 0) > 2 * once_ms + DELAY_MS
        assert row.e2e_over_bound is not None
        assert row.e2e_over_bound >= 0.98


def under_load(place: Place, flow: str, *link: str) -> list[Row]:
    """The rows of a sweep under a load, all of whose frames are accounted for."""
    asked = ["--flow", flow, "--split", "2:4", *link, "--delay-ms", f"{DELAY_MS}"]
    few = ["--no-delivery", "--runs", "12", "--load", "fps:20", "--in-flight", "3"]
    done = place.sweep(*asked, *few)
    assert done.returncode in (0, 1), done.stderr + done.stdout
    table = rows_of(place)
    assert len(table) == 3
    for row in table:
        lost = (row.late, row.dropped_source, row.dropped_edge, row.errors)
        assert row.offered == (row.done or 0) + sum(one or 0 for one in lost)
        assert row.offered % 12 == 0  # of each time that it was measured
        assert row.done
    # its source has heard of a frame a way back later than that was done, over each link
    ways_ms = DELAY_MS * (2 if flow == "call" else 1)
    lines = (place.out / "samples.jsonl").read_text().splitlines()
    frames = [one for line in lines if "heard_ns" in (one := json.loads(line))]
    assert frames
    for one in frames:
        assert one["heard_ns"] - one["done_ns"] >= ways_ms * 1e6
        assert one["done_ns"] >= one["due_ns"] + ways_ms * 1e6
    return table
