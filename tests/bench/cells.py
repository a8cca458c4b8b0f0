"""How near cells of two models, of several flows, come to their bounds, beside raw TCP's there.

Sweeps first; then, over a link that is shaped alike, each cell's bytes on each of its links by a
plain socket and by one unary gRPC call, in the cell's rhythm: processors, TCP and the link box are
as cold as a sweep's frames find them. That costs a socket about as much again as bytes back to back
beyond the wire. What each reaches is a frame whose work on the nodes took as long; the bar is raw
TCP's, and the call's tells how much of the rest is gRPC's.
"""

import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from netem.backends import AUTO, open_link
from netem.spec import LinkSpec, symmetric
from netem.wire import wire_ms
from orchestrator.results.reading import Reading, read_folder
from orchestrator.results.records import CellRecord
from orchestrator.results.rows import Row, known
from splitbed.timeline import way_and_link
from tests.bench.figure import Bar, Figure, median
from tests.bench.peers import HEAD_BYTES, RAW, UNARY
from tests.bench.transport import Peers, Rhythm, peers

_SHAPESNET = ("--model", "shapesnet", "--runs", "5")
_FLOWS = (*_SHAPESNET, "--codec", "int8+zstd", "--delay-ms", "0", "--flow")
_DELAYS = ("--delay-ms", "0,20")
_SWEEPS = {
    "posenet": ("--model", "posenet", "--split", "13:18", "--runs", "3", *_DELAYS),
    "shapesnet": (*_SHAPESNET, "--split", "stage2,stage3", "--codec", "raw,int8+zstd", *_DELAYS),
    "downlink": (*_FLOWS, "downlink", "--split", "stage2"),
    "remote-source": (*_FLOWS, "remote-source", "--split", "stage2"),
    "chain": (*_FLOWS, "chain", "--split", "stage2+stage3"),
}
_LINKS = ("--bw", "5,20,100", "--no-delivery", "--no-profile")
_ROUNDS = 7
_TURN_S = 0.005
"""Between two frames of a sweep: the orchestrator's, in which the nodes have nothing to do."""


class _Cell(NamedTuple):
    """A row, and the bytes of a frame on each hop."""

    row: Row
    sent: Mapping[str, int]

    @property
    def links(self) -> Iterator[tuple[int, int]]:
        """Bytes up and down, link by link."""
        for link in dict.fromkeys(way_and_link(hop)[1] for hop in self.sent):
            of = {
                way_and_link(hop)[0]: n
                for hop, n in self.sent.items()
                if way_and_link(hop)[1] == link
            }
            yield of.get("uplink", 0), of.get("downlink", 0)


def figures(folder: Path) -> Iterator[Figure]:
    """Each row of which something crosses, by its link."""
    cells = [cell for name in _SWEEPS for cell in _swept(name, folder / name)]
    yield from _besides_the_wire([cell.row for cell in cells if cell.row.flow == "uplink"])
    links = dict.fromkeys((cell.row.bw_mbit, cell.row.delay_ms) for cell in cells)
    with open_link(AUTO, folder / "link") as link:
        link.shape(symmetric(rate_mbit=100))
        with peers(link.edge.command, link.ue.command, link.edge_address) as ask:
            for rate_mbit, delay_ms in links:
                link.shape(spec := symmetric(rate_mbit=rate_mbit, delay_ms=delay_ms))
                for cell in cells:
                    if (cell.row.bw_mbit, cell.row.delay_ms) == (rate_mbit, delay_ms):
                        yield _figure(cell, spec, ask)


def _swept(name: str, run: Path) -> Iterator[_Cell]:
    words = ["sweep", *_SWEEPS[name], *_LINKS, "--out", str(run)]
    subprocess.run([sys.executable, "-m", "orchestrator", *words], stdout=sys.stderr, check=False)
    reading = read_folder(run)
    for row, cell in zip(reading.rows, reading.cells, strict=True):
        if row.bound_ms and (sent := _sent(reading, cell)):
            yield _Cell(row, sent)


def _sent(reading: Reading, cell: CellRecord) -> dict[str, int]:
    frames = [{hop.name: hop.bytes for hop in one.sent} for one in reading.frames_of(cell)]
    return {hop: round(statistics.mean(one[hop] for one in frames)) for hop in frames[0]}


def _besides_the_wire(rows: Sequence[Row]) -> Iterator[Figure]:
    """What predictions add for a message, which they take for the same whatever its size."""
    hops: dict[str, list[float]] = {"up": [], "down": []}
    for row in rows:
        spec = symmetric(rate_mbit=row.bw_mbit, delay_ms=row.delay_ms).uplink
        sizes = {
            "up": (row.uplink_ms, row.encoded_bytes),
            "down": (row.downlink_ms, row.result_bytes),
        }
        for way, (took_ms, nbytes) in sizes.items():
            hops[way].append(known(took_ms) - wire_ms(round(known(nbytes)), spec))
    for way, besides_ms in hops.items():
        yield median(f"a message {way}: more than the wire takes", "ms", besides_ms)


def _figure(cell: _Cell, spec: LinkSpec, ask: Peers) -> Figure:
    row = cell.row
    at_each_end_s = (known(row.e2e_ms) - known(row.network_ms)) / 2e3
    rhythm = Rhythm(_TURN_S, at_each_end_s, at_each_end_s)
    bound_ms = known(row.bound_ms)
    took_ms = dict.fromkeys((RAW, UNARY), bound_ms)
    for up_bytes, down_bytes in cell.links:
        # the first round opens the connections' windows
        rounds = ask(up_bytes, row.bw_mbit, 1 + _ROUNDS, (*took_ms,), down_bytes, rhythm)[1:]
        floor_ms = wire_ms(up_bytes or HEAD_BYTES, spec.uplink) + wire_ms(down_bytes, spec.downlink)
        for name in took_ms:
            took_ms[name] += statistics.median(one[name] * 1e3 for one in rounds) - floor_ms
    raw, unary = (ms / bound_ms for ms in took_ms.values())
    flow = "" if row.flow == "uplink" else f" {row.flow}"
    what = f"{row.model}{flow} {row.split} as {row.codec} at {row.link}: e2e / bound"
    return Figure(
        f"{what}, by raw TCP {raw:.4f}, by one gRPC call {unary:.4f}",
        known(row.e2e_over_bound),
        bar=Bar(most=max(1.02, 1.01 * raw)),
    )
