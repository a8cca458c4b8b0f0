"""What a row says of CPU time, memory and energy."""

import csv
import io
from typing import Any

import pytest

from netem.spec import symmetric
from orchestrator.ask.devices import Power
from orchestrator.results.columns.measured import measured_row
from orchestrator.results.records import (
    CellRecord,
    Energy,
    FrameRecord,
    Hop,
    NodeResources,
    RunRecord,
    UeRecord,
)
from orchestrator.results.rows import Row
from orchestrator.results.statistics.energy import frame_mj
from orchestrator.results.statistics.measured_visit import MeasuredVisit, measured_visit
from orchestrator.results.tables import resources_csv
from splitbed.timeline import Stage, Timeline

MS = 1_000_000
POWER = Power(idle_w=1.0, cpu_w=2.0, sending_w=4.0, receiving_w=0.5, source="a data sheet")
TOOK = NodeResources(wall_s=1.0, cpu_s=0.04, rss_bytes=100, rss_peak_bytes=120, pss_bytes=80)
STAGES = (
    Stage("part1", 0, 10 * MS),
    Stage("uplink", 10 * MS, 30 * MS),
    Stage("part2", 30 * MS, 40 * MS),
    Stage("downlink", 40 * MS, 50 * MS),
)
CPU_NS = {
    "ue": {"part1": 12 * MS, "uplink": MS, "downlink": MS, "rest": 5 * MS},
    "edge": {"uplink": 2 * MS, "part2": 15 * MS, "downlink": MS, "rest": 2 * MS},
}


def visit(told: dict[str, Any] | None = None, frames: int = 2, **cell: Any) -> MeasuredVisit:
    """Of frames of 50 ms; each node took the same, or what is told of it."""
    record = CellRecord(
        key="a",
        attempt="a",
        split="1:1",
        split_name="cut",
        link=symmetric(rate_mbit=8),
        resources=told if told is not None else {"ue": TOOK, "edge": TOOK},
        **cell,
    )
    hops = Hop("uplink", 1000), Hop("downlink", 100)
    one = FrameRecord(attempt="a", stages=STAGES, e2e_ms=50, hops=hops, cpu_ns=CPU_NS)
    return measured_visit(record, [one] * frames)


def row_of(*visits: MeasuredVisit, **power: Power) -> Row:
    return measured_row(RunRecord(asked={"blocks": len(visits)}, power=power), visits)


def nodes_of(one: MeasuredVisit, **power: Power) -> dict[str, dict[str, str]]:
    """The lines of resources.csv, by node."""
    lines = csv.DictReader(io.StringIO(resources_csv([[one]], RunRecord(power=power))))
    return {line["node"]: line for line in lines}


def test_cpu_time_is_for_a_frame_and_by_stage() -> None:
    row = row_of(visit())
    assert (row.ue_cpu_ms, row.edge_cpu_ms) == (20, 20)
    assert (row.part1_cpu_ms, row.part2_cpu_ms) == (12, 15)
    assert (row.ue_rest_cpu_ms, row.edge_rest_cpu_ms) == (5, 2)
    assert (row.ue_rss_bytes, row.ue_rss_peak_bytes, row.ue_pss_bytes) == (100, 120, 80)


def test_several_blocks_are_one() -> None:
    less = visit({"ue": TOOK, "edge": NodeResources(wall_s=1.0, cpu_s=0.02)}, block=1)
    row = row_of(visit(), less)
    assert (row.ue_cpu_ms, row.edge_cpu_ms) == (20, 15)


def test_each_node_has_a_line_whose_stages_add_up() -> None:
    for line in nodes_of(visit()).values():
        stages = [name for name in line if name.endswith("_cpu_ms")]
        assert "rest_cpu_ms" in stages
        told = sum(float(line[name] or 0) for name in stages)
        assert told == pytest.approx(sum(CPU_NS[line["node"]].values()) / MS)
    sent = {
        name: (line["sent_bytes"], line["received_bytes"])
        for name, line in nodes_of(visit()).items()
    }
    assert sent == {"ue": ("1000", "100"), "edge": ("100", "1000")}


def test_what_follows_the_last_frame_is_rest() -> None:
    tail = NodeResources(wall_s=1.0, cpu_s=0.04, rest_s=0.006)
    assert row_of(visit({"ue": tail, "edge": TOOK})).ue_rest_cpu_ms == 5 + 3


def test_of_a_node_that_no_frame_came_to_all_is_rest() -> None:
    cell = visit({"ue": TOOK, "edge": TOOK}).cell
    alone = FrameRecord(attempt="a", stages=STAGES[:1], e2e_ms=10, cpu_ns={"ue": CPU_NS["ue"]})
    row = row_of(measured_visit(cell, [alone] * 2))
    assert (row.edge_cpu_ms, row.edge_rest_cpu_ms) == (20, 20)
    assert (row.part1_cpu_ms, row.part2_cpu_ms) == (12, 0)


def test_under_load_the_sum_alone_is_told() -> None:
    record = visit().cell
    frame = FrameRecord(attempt="a", stages=STAGES, e2e_ms=50)
    row = row_of(measured_visit(record, [frame] * 2))
    assert row.ue_cpu_ms == 20
    assert (row.part1_cpu_ms, row.ue_rest_cpu_ms) == (None, None)


def test_energy_that_nothing_tells_is_none_and_not_0() -> None:
    row = row_of(visit())
    assert (row.ue_energy_mj, row.ue_energy_source) == (None, "none")
    assert nodes_of(visit())["ue"]["energy_mj"] == ""


def test_energy_of_a_machine_is_the_node_s_that_is_alone_there() -> None:
    meter = Energy(meter="powercap", domains={"package-0": 3.0, "dram of package-0": 1.0})
    alone = NodeResources(wall_s=1.0, cpu_s=0.04, energy=meter)
    shares = NodeResources(wall_s=1.0, cpu_s=0.04, energy=meter, shared_machine=True)
    row = row_of(visit({"ue": alone, "edge": shares}), ue=POWER)
    assert (row.ue_energy_mj, row.ue_energy_source) == (2000, "measured")
    assert (row.edge_energy_mj, row.edge_energy_source) == (None, "none")
    assert nodes_of(visit({"ue": alone}))["ue"]["energy_by"] == "powercap"


def test_energy_of_a_model_says_so_and_whose_it_is() -> None:
    row = row_of(visit(), ue=POWER)
    # of each frame: 50 ms idle, 20 ms of CPU time, 20 ms sending, 10 ms receiving
    assert row.ue_energy_mj == pytest.approx(50 * 1 + 20 * 2 + 20 * 4 + 10 * 0.5)
    assert (row.ue_energy_source, row.edge_energy_source) == ("modelled", "none")
    assert nodes_of(visit(), ue=POWER)["ue"]["energy_by"] == "a data sheet"


def test_energy_of_frames_by_the_model_has_the_row_s_as_its_mean() -> None:
    one = visit(ue_slowdown=4.0)
    frame = FrameRecord(attempt="a", stages=STAGES, e2e_ms=50, cpu_ns=CPU_NS)
    told = frame_mj(one.cell, frame, Timeline([*STAGES]), {"ue": POWER})
    assert told.keys() == {"ue"}  # of the edge there is no model
    # the node's 40 ms of CPU time in the cell are of two frames, of which each has 19 in stages
    of_row = row_of(one, ue=POWER).ue_energy_mj
    assert of_row is not None
    assert of_row - told["ue"] == pytest.approx((20 - 19) * 4.0 * POWER.cpu_w)


def test_a_frame_without_its_own_cpu_time_has_no_energy_and_not_0() -> None:
    frame = FrameRecord(attempt="a", stages=STAGES, e2e_ms=50)
    assert frame_mj(visit().cell, frame, Timeline([*STAGES]), {"ue": POWER}) == {}


def test_a_slowed_ue_is_modelled_as_what_it_stands_in_for() -> None:
    slow = row_of(visit(ue_slowdown=4.0), ue=POWER)
    own = row_of(visit(), ue=POWER)
    assert slow.ue_energy_mj is not None
    assert own.ue_energy_mj is not None
    assert slow.ue_energy_mj - own.ue_energy_mj == pytest.approx(3 * 20 * 2)


def test_counters_that_are_not_to_be_believed_are_told_of_the_row() -> None:
    odd = NodeResources(wall_s=1.0, faults=("CPU seconds fell from 5 to 4",))
    row = row_of(visit({"ue": TOOK, "edge": odd}))
    assert row.edge_cpu_ms is None
    assert "edge: CPU seconds fell from 5 to 4" in row.reason


def test_runs_that_did_not_say_have_nothing() -> None:
    row = row_of(visit({}))
    assert (row.ue_cpu_ms, row.ue_rss_bytes, row.ue_energy_source) == (None, None, "none")


def test_of_several_ues_bytes_are_each_one_s() -> None:
    link = symmetric(rate_mbit=8)
    ues = tuple(
        UeRecord(name=name, split="1:1", split_name="cut", codec="raw", link=link)
        for name in ("ue-1", "ue-2")
    )
    took = dict.fromkeys(("ue-1", "ue-2", "edge"), TOOK)
    record = visit(took, ues=ues).cell
    frames = [
        FrameRecord(attempt="a", ue=name, stages=STAGES, e2e_ms=50, hops=(Hop("uplink", nbytes),))
        for name, nbytes in (("ue-1", 600), ("ue-2", 400))
    ]
    nodes = nodes_of(measured_visit(record, frames))
    sent = {name: line["sent_bytes"] for name, line in nodes.items()}
    assert sent == {"ue-1": "300", "ue-2": "200", "edge": "0"}
    assert nodes["edge"]["received_bytes"] == "500"
