"""The data plane's stream beside other ways of sending an array, in turns on the same ground.

    UE's namespace:  peers ask ──── raw TCP, unary gRPC, pickle, ZeroMQ, ours ───▶ peers serve

Without a link both processes are on this machine's loopback. A round asks all of them for the same,
so that ratios are of neighbours.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from netem.backends import AUTO, open_link
from netem.spec import symmetric
from tests.bench.figure import Bar, Figure, median
from tests.bench.peers import ANSWER_BYTES, OURS, PICKLE, RAW, UNARY, ZEROMQ

_SIZES = {"86 KB": 86_016, "1.44 MB": 1_440_000, "5.76 MB": 5_760_000}
_ROUNDS_LOOPBACK, _WARM_ROUNDS = 200, 20
_ALL = (RAW, UNARY, PICKLE, ZEROMQ, OURS)
_FAST = {"86 KB": 40, "1.44 MB": 20, "5.76 MB": 9}
_SLOW = {5.0: 5, 20.0: 7, 100.0: 15}
"""Rounds of 1.44 MB."""

Rounds = Sequence[dict[str, float]]


def figures(folder: Path) -> Iterator[Figure]:
    """Times of each, and ours over what it is held to: without a link, then on one."""
    with peers(list, list, "127.0.0.1") as ask:
        for size, nbytes in _SIZES.items():
            ask(nbytes, 0, _WARM_ROUNDS, _ALL)
            rounds = ask(nbytes, 0, _ROUNDS_LOOPBACK, _ALL)
            yield from _compared(f"{size} without a link", rounds, UNARY, Bar(most=1.0))
    with open_link(AUTO, folder) as link:
        link.shape(symmetric(rate_mbit=100))
        with peers(link.edge.command, link.ue.command, link.edge_address) as ask:
            link.shape(symmetric(rate_mbit=100, delay_ms=10))
            for size, count in _FAST.items():
                ask(_SIZES[size], 100, 3, _ALL)
                taken = ask(_SIZES[size], 100, count, _ALL)
                yield from _compared(f"{size} at 100 Mbit/s, 10 ms", taken, RAW, Bar(most=1.01))
            for rate_mbit, count in _SLOW.items():
                link.shape(symmetric(rate_mbit=rate_mbit))
                both = (RAW, OURS)
                ask(_SIZES["1.44 MB"], rate_mbit, 1, both)
                taken = ask(_SIZES["1.44 MB"], rate_mbit, count, both)
                what = f"1.44 MB at {rate_mbit:g} Mbit/s"
                yield _ratio(what, taken, RAW, Bar(most=1.02))


def _compared(what: str, rounds: Rounds, other: str, bar: Bar) -> Iterator[Figure]:
    for name in _ALL:
        yield median(f"{name}: {what}", "ms", [one[name] * 1e3 for one in rounds])
    yield _ratio(what, rounds, other, bar)


def _ratio(what: str, rounds: Rounds, other: str, bar: Bar) -> Figure:
    ratios = [one[OURS] / one[other] for one in rounds]
    return median(f"{OURS} / {other}: {what}", "", ratios, bar)


class Rhythm(NamedTuple):
    """Seconds of each round: nothing is done, work before sending, work there before the answer."""

    rest_s: float = 0.0
    own_s: float = 0.0
    there_s: float = 0.0


Command = Callable[[list[str]], list[str]]


class Peers:
    """All ways, to be asked for rounds of some of them."""

    def __init__(self, asker: "subprocess.Popen[str]") -> None:
        self._asker = asker

    def __call__(
        self,
        nbytes: int,
        rate_mbit: float,
        rounds: int,
        names: Sequence[str],
        back: int = ANSWER_BYTES,
        rhythm: Rhythm = Rhythm(),  # noqa: B008
    ) -> Rounds:
        """Each of `names` sends `nbytes` over a link of such a rate.

        Raw TCP and unary gRPC get `back`, and keep a rhythm, whose work is not counted.
        """
        assert self._asker.stdin
        assert self._asker.stdout
        asked = {"bytes": nbytes, "back": back, "rate_mbit": int(rate_mbit), "names": names}
        asked["rhythm"] = rhythm
        taken = []
        for _ in range(rounds):
            self._asker.stdin.write(json.dumps(asked) + "\n")
            self._asker.stdin.flush()
            taken.append(json.loads(self._asker.stdout.readline()))
        return taken


@contextmanager
def peers(serving: Command, asking: Command, address: str) -> Iterator[Peers]:
    """Those that serve and the one that asks, started as the commands say."""
    argv = [sys.executable, "-m", "tests.bench.peers"]
    with _running(serving([*argv, "serve", address])) as server:
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
        with _running(asking([*argv, "ask", address])) as asker:
            yield Peers(asker)


@contextmanager
def _running(argv: Sequence[str]) -> "Iterator[subprocess.Popen[str]]":
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
