"""What real node processes say that they took, against what the kernel says of them."""

from collections.abc import Iterator

import psutil
import pytest

from orchestrator.measure.frames import frame_record, stages_of
from orchestrator.results.records import NodeResources
from orchestrator.results.statistics.spent import cpu_ms
from splitbed.meters.cpu import REST
from tests.node.loopback import Splits, loopback_pair

FRAMES = 60


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as both:
        yield Splits(*both, warmup=1)


class Measured:
    """Frames of a split, what nodes said of each, of all of them, and what the kernel said."""

    def __init__(self, splits: Splits) -> None:
        pair = splits.pair
        own = {name: psutil.Process(node.says.pid) for name, node in pair.nodes.items()}
        pair.meters.begin()
        before = {name: sum(one.cpu_times()[:2]) for name, one in own.items()}
        said = [splits.run(number) for number in range(1, FRAMES + 1)]
        self.kernel_ms = {
            name: (sum(one.cpu_times()[:2]) - before[name]) * 1e3 for name, one in own.items()
        }
        self.taken: dict[str, NodeResources] = pair.meters.end()
        self.frames = [frame_record(one, "a", 0, stages_of(one), 1.0) for one in said]
        self.stages_ms = cpu_ms(self.frames)


@pytest.fixture(scope="module")
def measured(shared: Splits) -> Measured:
    shared.load(2, "zstd")
    return Measured(shared)


def test_stages_and_rest_of_frames_are_all_that_each_process_computed(measured: Measured) -> None:
    for node, told in measured.taken.items():
        assert told.cpu_s is not None
        whole_ms = told.cpu_s * 1e3
        assert sum(measured.stages_ms[node].values()) == pytest.approx(whole_ms, rel=0.05)
        assert measured.kernel_ms[node] == pytest.approx(whole_ms, rel=0.1, abs=20)  # in ticks


def test_each_node_has_its_own_stages_and_both_ends_of_a_hop(measured: Measured) -> None:
    hops = {"uplink", "downlink", REST}
    assert measured.stages_ms["ue"].keys() == {"preprocess", "part1", "encode"} | hops
    assert measured.stages_ms["edge"].keys() == {"decode", "part2", "result"} | hops
    assert all(ms > 0 for stages in measured.stages_ms.values() for ms in stages.values())


def test_memory_and_switches_are_told(measured: Measured) -> None:
    for told in measured.taken.values():
        assert told.rss_bytes
        assert told.pss_bytes
        assert 10 << 20 < told.pss_bytes <= told.rss_bytes * 1.05
        assert told.rss_peak_bytes
        assert told.rss_peak_bytes >= told.rss_bytes * 0.95
        assert told.voluntary_switches
        assert told.voluntary_switches >= FRAMES
        assert told.faults == ()
        assert told.shared_machine


def test_each_switch_is_told_of_one_frame_and_memory_as_it_left_each_node(
    measured: Measured,
) -> None:
    prints = [frame.footprints or {} for frame in measured.frames]
    for node, told in measured.taken.items():
        assert told.voluntary_switches and told.involuntary_switches is not None and told.rss_bytes
        whole = told.voluntary_switches + told.involuntary_switches
        of_frames = [
            one[node].voluntary_switches + one[node].involuntary_switches for one in prints
        ]
        assert all(of_frames)  # each waited for the frame
        assert whole * 0.9 < sum(of_frames) <= whole  # but for what follows the last
        rss = [one[node].rss_bytes or 0 for one in prints]
        assert told.rss_peak_bytes and max(rss) <= told.rss_peak_bytes
        assert sum(rss) / FRAMES == pytest.approx(told.rss_bytes)


def test_of_a_frame_without_a_part_on_the_ue_nothing_is_booked_on_one(shared: Splits) -> None:
    shared.load(0)
    spent = Measured(shared).stages_ms
    assert "part1" not in spent["ue"]
    assert spent["edge"]["part2"] > 0
