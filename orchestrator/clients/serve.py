"""The command serve: a pair that clients of the Open Inference Protocol ask, until it is ended.

serve.json     what was asked, conditions, proofs of the link before and after, verdict
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from msgspec.structs import replace

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.topology import Machines
from orchestrator.clients.kept import KeptRecord, kept_up
from orchestrator.clients.relay import relayed
from orchestrator.measure.conditions import now
from orchestrator.measure.watcher import Watcher
from orchestrator.results.json_record import Record
from orchestrator.results.judgement.verdict import Verdict
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.testbed import Testbed
from splitbed.codecs import codec_named
from splitbed.errors import NodeError, UsageError
from splitbed.security.addresses import checked_address, host_and_port, ip_port

SERVE_FILE = "serve.json"
USUAL_ADDRESS = "127.0.0.1:8001"
_UNIX = "unix:"
_ANY = ("0.0.0.0", "[::]")  # noqa: S104  printed, not listened on
_LOOK_S = 5.0
"""How often it is looked whether the nodes are there."""


class ServeRecord(Record, frozen=True, kw_only=True):
    """A pair that answered clients at ``address``, and what that amounts to.

    Of their requests that were taken ``answered`` came through, the others ``failed``; None where
    the UE could not say so any more.
    """

    pair: KeptRecord
    address: str
    ended: str | None = None
    answered: int | None = None
    failed: int | None = None
    verdict: str = ""
    reasons: tuple[str, ...] = ()


class Served:
    """A pair that answers clients as ``model`` at ``address``, IP:PORT; its run is in ``folder``.

    ``verdict`` is there once it has ended.
    """

    verdict: Verdict

    def __init__(self, bed: Testbed, address: str, folder: Path) -> None:
        self.model = bed.model.name
        self.address = address
        self.folder = folder
        self._bed = bed

    def wait(self, seconds: float | None = None) -> None:
        """Wait for clients until a signal ends it, or for so long; NodeError once a node died."""
        with self._bed.interruption.told() as told:
            _wait(told, self._bed.pair, math.inf if seconds is None else seconds)


@contextmanager
def served(config: SweepConfig, address: str | None, watcher: Watcher) -> Iterator[Served]:
    """A pair that clients ask inside; behind it, it is known whether the link was as asked.

    On this machine they are answered at `address`, IP:PORT. A node that died inside ends it, and
    its verdict says so. Raises SplitbedError for what stops it before.
    """
    _check(config, address)
    with kept_up(config, watcher, "serve", clients=True) as kept:
        bed, folder = kept.engine.bed, kept.engine.folder
        with _answering(config, bed.pair.ue.infer, address or USUAL_ADDRESS) as place:
            record = ServeRecord(pair=kept.record, address=place)
            folder.replace(SERVE_FILE, record.json(indent=1) + "\n")
            ue = bed.pair.nodes[bed.pair.user]
            before = ue.ended_frames()
            kept.let_in()
            watcher.waits()
            found = Served(bed, place, folder.path)
            try:
                yield found
                bed.interruption.check()
                kept.let_out()
                record = replace(record, pair=kept.proved_again())
                reasons = record.pair.faults
            except NodeError as error:
                bed.interruption.check()
                reasons = (str(error),)
            after = ue.ended_frames()
        found.verdict = Verdict(not reasons, reasons, ())
        if before and after:
            answered, failed = (last - first for first, last in zip(before, after, strict=True))
            record = replace(record, answered=answered, failed=failed)
        record = replace(record, ended=now(), verdict=found.verdict.word, reasons=reasons)
        folder.replace(SERVE_FILE, record.json(indent=1) + "\n")


def _check(config: SweepConfig, address: str | None) -> None:
    config.only_fp32("what is kept up for clients is the model as it is")
    if isinstance(config.place, Machines):
        if address:
            raise UsageError(
                f"--infer {address}: the UE of {config.place.name} answers clients where its own "
                "file says (infer: IP:PORT)"
            )
    elif checked_address(address or USUAL_ADDRESS, allowed=False).startswith(_UNIX):
        raise UsageError(f"--infer {address}: give IP:PORT, which any client can reach")
    for name, codecs in (("codec", config.codec), ("input-codec", config.input_codec)):
        for codec in codecs:
            if codec_named(codec).sequential:
                raise UsageError(
                    f"--{name} {codec} codes a frame with what it knows of the one before, and what"
                    " clients send is no sequence: name another"
                )


@contextmanager
def _answering(config: SweepConfig, where: str, address: str) -> Iterator[str]:
    """Where clients are answered, while inside: of a UE on this machine at `address`."""
    if not where:
        raise NodeError(
            "the UE node answers no clients: give it `infer: IP:PORT` in its file, and start it "
            "again"
        )
    if isinstance(config.place, Machines):
        yield reached_at(where, config.place.nodes["ue"].control)
        return
    with relayed(address, Path(where.removeprefix(_UNIX))):
        yield address


def reached_at(where: str, control: str) -> str:
    """Where a node is reached that listens at `where`: if on all its addresses, at `control`'s."""
    host, _, port = where.rpartition(":")
    return ip_port(host_and_port(control)[0], int(port)) if host in _ANY else where


def _wait(told: Event, pair: Pair, seconds: float) -> None:
    """Until it is told to end, or that long; NodeError once a node is not there any more."""
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0 and not told.wait(min(left_s, _LOOK_S)):
        for name, node in pair.nodes.items():
            if not node.answers():
                raise NodeError(f"the {name} node {node.gone}{node.ended()}")
