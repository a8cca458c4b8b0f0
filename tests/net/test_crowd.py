"""Several UEs over one shaped link: what the wire between cell and edge carries is the sum."""

import csv
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netem.backends.cell import Cell, open_cell
from netem.namespace import Counters
from netem.spec import symmetric
from tests.net.sweeps import Place
from tests.net.traffic import SEGMENT_SHARE, connected, goodput_mbit

UES = ("ue-1", "ue-2", "ue-3")
RATE_MBIT, DELAY_MS, OWN_MS = 20.0, 5.0, 30.0


@pytest.fixture(scope="module")
def cell(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """Three UEs, of which the last has a longer way."""
    subnets = {name: f"10.77.{place}.0/24" for place, name in enumerate(["edge", *UES])}
    own = {UES[-1]: symmetric(rate_mbit=100, delay_ms=OWN_MS)}
    with open_cell(backend, tmp_path_factory.mktemp("run"), "edge", subnets, own) as opened:
        opened.shared.shape(symmetric(rate_mbit=RATE_MBIT, delay_ms=DELAY_MS))
        yield opened


@pytest.mark.parametrize("downlink", [False, True])
def test_the_sum_of_what_ues_send_is_shaped(cell: Cell, downlink: bool) -> None:
    with ThreadPoolExecutor() as threads:
        each = [
            threads.submit(goodput_mbit, cell.ways[name], 2.0, downlink=downlink)
            for name in UES[:2]
        ]
    both = [one.result() for one in each]
    # as much as one has alone, whatever else this machine does, and not as much for each
    assert 0.5 * RATE_MBIT < sum(both) < 1.2 * RATE_MBIT * SEGMENT_SHARE


def test_what_crosses_the_shared_link_is_what_the_ues_send_frame_by_frame(cell: Cell) -> None:
    settled(cell)  # connections of tests before say goodbye
    before, came = sent(cell), crossed(cell)
    for way in cell.ways.values():
        sender, receiver = connected(way.ue, way.edge, way.edge_address)
        with sender, receiver:
            sender.sendall(bytes(100_000))
            sender.close()
            while receiver.recv(1 << 16):
                pass
    settled(cell)
    each = [sent(cell)[name].since(before[name]) for name in UES]
    now = crossed(cell).since(came)
    assert now.received_bytes == sum(one.sent_bytes for one in each)
    # no super-packet of many segments passed for one
    assert now.received_packets == sum(one.sent_packets for one in each)
    assert min(one.sent_bytes for one in each) > 100_000


def sent(cell: Cell) -> dict[str, Counters]:
    return {name: way.ue.counters()[way.ue_device] for name, way in cell.ways.items()}


def crossed(cell: Cell) -> Counters:
    return cell.shared.edge.counters()[cell.shared.edge_device]


def settled(cell: Cell) -> None:
    """Wait until nothing crosses any more."""
    before = None
    while (now := (sent(cell), crossed(cell))) != before:
        before = now
        time.sleep(0.3)


def test_ues_of_unlike_kind_are_measured_together(backend: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    (file := tmp_path / "crowd.yaml").write_text(
        "name: crowd\n"
        "ues:\n"
        "  ue-1: {}\n"
        "  ue-2: {split: '1:5', codec: int8}\n"
        "  ue-3: {slowdown: 2, shape: {delay_ms: 20}}\n"
    )
    asked = ["--topology", str(file), "--split", "2:4", "--bw", "20", "--delay-ms", "2"]
    done = place.sweep(*asked, "--runs", "4", "--no-delivery")
    assert done.returncode in (0, 1), done.stderr + done.stdout
    rows = place.rows()
    assert [row["ues"] for row in rows] == ["3"] * 3, done.stderr
    assert not [row for row in rows if int(row["errors"])], done.stderr
    assert all(int(row["frames"]) >= 4 * 3 for row in rows)
    with (place.out / "ues.csv").open() as table:
        shares = list(csv.DictReader(table))
    assert len(shares) == 3 * 3
    own = {one["ue"]: one for one in shares}
    assert (own["ue-2"]["split"], own["ue-2"]["codec"]) == ("1:5", "int8")
    assert own["ue-3"]["way"] == "20 Mbit/s, 22 ms, queue 2000"
    [split] = [row for row in rows if row["split"] == "2:4"]
    assert 0.3 < float(split["fairness"]) < 1
    # each frame of the one far away takes two ways of 20 ms more
    assert float(split["worst_ue_e2e_ms"]) > 40
