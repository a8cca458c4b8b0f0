"""A chain of three node processes: what no pair of nodes shows of the one in the middle."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from netem.spec import symmetric
from splitbed.errors import NodeError
from tests.node.loopback import FRAME_S, LAYERS, Splits, loopback_pair, small_model

MAP_BYTES = 8 * 16 * 16 * 4


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("chain"), flow="chain") as both:
        yield Splits(*both, flow="chain", warmup=1)


@pytest.fixture
def chain(nodes: Splits) -> Splits:
    return nodes.alive()


@pytest.mark.parametrize("cuts", [(2, 3), (1, 4), (0, 2), (2, 2), (0, 0), (0, LAYERS), (3, LAYERS)])
def test_every_two_cuts_give_the_whole_models_output(chain: Splits, cuts: tuple[int, int]) -> None:
    chain.load(cuts[0], "raw", cuts[1])
    for number in range(2):
        record = chain.run(number)
        assert record.frame == number
        assert record.max_abs_diff <= 1e-6
        assert dict(record.results) == {"scores": 1}


def test_the_edge_passes_frames_on_and_their_results_back(chain: Splits) -> None:
    chain.load(2, "fp16", 3)
    record = chain.run()
    stages = [(one.name, one.node) for one in record.stages]
    assert stages == [
        *(("preprocess", "ue"), ("part1", "ue"), ("encode", "ue"), ("uplink", "ue")),
        *(("decode", "edge"), ("part2", "edge"), ("encode", "edge"), ("uplink2", "edge")),
        *(("decode", "cloud"), ("part3", "cloud"), ("result", "cloud"), ("downlink2", "cloud")),
        ("downlink", "edge"),
    ]
    # two maps cross the second cut
    assert {one.name: one.bytes for one in record.stages if one.bytes} == {
        "uplink": MAP_BYTES // 2,
        "uplink2": 2 * MAP_BYTES // 2,
        "downlink2": 8 * 4,
        "downlink": 8 * 4,
    }
    assert record.intermediate_bytes == 2 * record.encoded_bytes == 2 * MAP_BYTES


def test_what_is_large_is_encoded_while_it_is_sent_on_every_hop(tmp_path: Path) -> None:
    file = small_model(tmp_path / "large.onnx", side=180)
    with loopback_pair(tmp_path, file=file, flow="chain") as both:
        large = Splits(*both, flow="chain")
        large.load(2, "zstd:9", 3)
        said = large.run()
        large.parts.assign(large.last, whole=True)
        whole = large.run(1)
    released = {(one.name, one.node) for one in said.stages if one.releases}
    assert released == {("uplink", "ue"), ("uplink2", "edge")}
    assert not any(one.releases for one in whole.stages)
    assert said.result == whole.result


def test_the_ue_fetches_its_part_and_the_cloud_is_brought_its_own(chain: Splits) -> None:
    own = Splits(chain.pair, chain.model, flow="chain", delivery=True)
    own.parts.load(asked := own.asked(2, "raw", 3))
    assert [name for name, _ in own.parts._cut.delivered] == ["ue"]
    assert own.parts.deliver(symmetric(rate_mbit=20), timeout_s=FRAME_S)
    own.parts.assign(asked)
    assert own.run(of=asked).max_abs_diff <= 1e-6


def test_both_links_are_warmed_both_ways(chain: Splits) -> None:
    chain.load(2, "raw", 3)
    ways = ("uplink", "uplink2", "downlink", "downlink2")
    chain.pair.warm_link(dict.fromkeys(ways, 100_000), FRAME_S)
    assert chain.run().max_abs_diff <= 1e-6


def test_a_node_that_dies_is_named_and_a_restart_mends_it(chain: Splits) -> None:
    chain.load(2, "raw", 3)
    for node in ("edge", "ue", "cloud"):
        os.kill(chain.pair.nodes[node].says.pid, signal.SIGKILL)
        with pytest.raises(NodeError, match=f"the {node} node died"):
            chain.run()
        if node != "cloud":
            chain.restart(2, 3)
            assert chain.run().max_abs_diff <= 1e-6
