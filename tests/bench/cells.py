"""How near each cell of two models comes to its bound, beside what raw TCP reaches there.

A sweep first; then, over a link that is shaped alike, each cell's bytes up and down by a plain
socket, in the cell's rhythm: processors, TCP and the link box are as cold as a sweep's frames find
them. That costs a socket about as much again as bytes back to back beyond the wire. What raw TCP
reaches is a frame whose work on the nodes took as long.
"""

import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from netem.backends import AUTO, open_link
from netem.spec import LinkSpec, symmetric
from netem.wire import wire_ms
from orchestrator.results.reading import read_folder
from orchestrator.results.rows import Row, known
from tests.bench.figure import Bar, Figure, median
from tests.bench.peers import RAW
from tests.bench.transport import Peers, Rhythm, peers

_SWEEPS = {
    "posenet": ("--split", "13:18", "--runs", "3"),
    "shapesnet": ("--split", "stage2,stage3", "--codec", "raw,int8+zstd", "--runs", "5"),
}
_LINKS = ("--bw", "5,20,100", "--delay-ms", "0,20", "--no-delivery", "--no-profile")
_ROUNDS = 7
_TURN_S = 0.005
"""Between two frames of a sweep: the orchestrator's, in which the nodes have nothing to do."""


def figures(folder: Path) -> Iterator[Figure]:
    """Each row of which something crosses, by its link."""
    rows = [row for model in _SWEEPS for row in _swept(model, folder / model) if row.bound_ms]
    yield from _besides_the_wire(rows)
    links = dict.fromkeys((row.bw_mbit, row.delay_ms) for row in rows)
    with open_link(AUTO, folder / "link") as link:
        link.shape(symmetric(rate_mbit=100))
        with peers(link.edge.command, link.ue.command, link.edge_address) as ask:
            for rate_mbit, delay_ms in links:
                link.shape(spec := symmetric(rate_mbit=rate_mbit, delay_ms=delay_ms))
                for row in rows:
                    if (row.bw_mbit, row.delay_ms) == (rate_mbit, delay_ms):
                        yield _figure(row, spec, ask)


def _swept(model: str, run: Path) -> Sequence[Row]:
    words = ["sweep", "--model", model, *_SWEEPS[model], *_LINKS, "--out", str(run)]
    subprocess.run([sys.executable, "-m", "orchestrator", *words], stdout=sys.stderr, check=False)
    return [row for row in read_folder(run).rows if row.codec != "none"]


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


def _figure(row: Row, spec: LinkSpec, ask: Peers) -> Figure:
    up_bytes, down_bytes = round(known(row.encoded_bytes)), round(known(row.result_bytes))
    own_ms = known(row.part1_ms) + known(row.encode_ms)
    there_ms = known(row.e2e_ms) - own_ms - known(row.uplink_ms) - known(row.downlink_ms)
    rhythm = Rhythm(_TURN_S, own_ms / 1e3, there_ms / 1e3)
    # the first round opens the connection's window
    rounds = ask(up_bytes, row.bw_mbit, 1 + _ROUNDS, (RAW,), down_bytes, rhythm)[1:]
    raw_ms = statistics.median(one[RAW] * 1e3 for one in rounds)
    bound_ms = known(row.bound_ms)
    floor_ms = wire_ms(up_bytes, spec.uplink) + wire_ms(down_bytes, spec.downlink)
    reached = (bound_ms - floor_ms + raw_ms) / bound_ms
    what = f"{row.model} {row.split} as {row.codec} at {row.link}: e2e / bound"
    return Figure(
        f"{what}, by raw TCP {reached:.4f}",
        known(row.e2e_over_bound),
        bar=Bar(most=max(1.02, 1.01 * reached)),
    )
