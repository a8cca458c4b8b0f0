"""The parts of a model that a node holds open, as a rule one, or one of each split."""

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import BoundedSemaphore, RLock

from splitbed.errors import NodeError, SplitbedError, UsageError
from splitbed.flow import Span
from splitbed.media.pictures import random_inputs
from splitbed.node.config import checked_runs
from splitbed.node.delivery import CutPart, span_of, words
from splitbed.runtime.batch import BatchSession, most_together
from splitbed.runtime.provider import OWN, Provider
from splitbed.runtime.session import PartSession
from splitbed.runtime.trial import tried_together
from splitbed.telemetry import SESSIONS
from splitbed.tensors import TensorInfo, Tensors
from splitbed.timeline import NS_PER_MS
from splitbed.v1 import nodes_pb2
from splitbed.workers.wanted import check_wanted, held_in_turn


class OpenPart:
    """A part with an open session, and a name of its own for its file."""

    def __init__(self, cut: CutPart, threads: int, provider: Provider = OWN) -> None:
        self.cut = cut
        part, runtime = cut.part, cut.model.runtime
        ends = part.inputs, part.outputs, part.passthrough
        self.session = PartSession(part.path, *ends, threads, runtime, provider)
        self.fed: Tensors | None = None
        """What it is warmed up with, where made-up inputs might not suit."""
        self.batch: BatchSession | None = None
        """What runs frames together, once that was asked for."""
        self._file = _linked(part.path)

    def run(self, tensors: Tensors) -> Tensors:
        """What this part makes of its inputs."""
        return self.session.run(tensors)

    def run_together(self, frames: Sequence[Tensors]) -> Sequence[Tensors]:
        """What it makes of each of several frames; of so many as it was opened for."""
        if self.batch is None:
            raise NodeError("cannot run frames together: the session for that is closed")
        return self.batch.run(frames)

    def open_batch(self, most: int) -> float:
        """Have it tried on up to so many frames together, and a session opened that runs them.

        How far it is off then, as BatchSession.prove says; raises as that.
        """
        if self._file is None:
            raise UsageError("its file is kept no more: a folder of another file system is needed")
        asked = self.cut.asked(self.session.threads)
        asked = replace(asked, path=str(self._file), together=most, provider=self.session.provider)
        off = tried_together(asked)
        self.batch = self.batch or BatchSession(self.session, self._file, asked.runtime)
        return off

    def close(self) -> None:
        """Free its sessions."""
        self.session.close()
        self.batch = None
        if self._file is not None:
            self._file.unlink(missing_ok=True)


_held = count()


def _linked(path: Path | None) -> Path | None:
    """Another name for a file, which stays when the one it came by goes; weights lie beside it."""
    with suppress(OSError):  # some file systems have no links
        if path is not None:
            os.link(path, own := path.with_name(f"held-{next(_held)}{path.suffix}"))
            return own
    return None


class HeldParts:
    """Opens parts on the node ``node``, at most ``sessions`` at once, and finds them by layers."""

    def __init__(self, node: str, sessions: int, provider: Provider = OWN) -> None:
        self.provider = provider
        """What computes them."""
        self.turn = RLock()
        """Held while models and parts change."""
        self._node = node
        self._most = sessions
        self._sessions = BoundedSemaphore(sessions)
        self._parts: dict[Span, OpenPart] = {}
        """The one that was opened last comes last."""

    @property
    def last(self) -> OpenPart | None:
        """The part that was opened last; None where none is held."""
        return next(reversed(self._parts.values()), None)

    def of(self, span: Span) -> OpenPart:
        """The part of these layers; NodeError where it is not held."""
        if span not in self._parts:
            held = ", ".join(map(words, sorted(self._parts)))
            raise NodeError(
                f"the {self._node} node holds no part of the layers {words(span)}, only "
                f"{held or 'none'}: load it first, and let it keep the others"
            )
        return self._parts[span]

    def load(
        self,
        cut: CutPart,
        options: nodes_pb2.SessionOptions,
        start_ns: int,
        feed: Callable[[], Tensors | None] = lambda: None,
    ) -> nodes_pb2.Loaded:
        """Open a session on `cut`, which was begun to be made at `start_ns`, and warm it up.

        Its inputs are then made up, or what `feed` gives, where these might not suit.
        It takes the place of all that it is not asked to keep, and of the one of the same layers.
        Raises NodeError when the limit of sessions leaves no room.
        """
        warmup = checked_runs(options.warmup)
        with self.turn:
            self.drop(keep={*map(span_of, options.keep)} - {cut.span})
            part = self.opened(cut, options.threads)
            self._parts[cut.span] = part
            load_ms = (time.monotonic_ns() - start_ns) / NS_PER_MS
            part.fed = _warm(part.session, warmup, cut.part.inputs, feed)
            types = _types(part) if cut.span.version else {}
            for _ in range(warmup if cut.gives_outputs else 0):
                check_wanted()
                cut.model.result_of(
                    random_inputs([info.least for info in cut.model.outputs], seed=0)
                )
        return nodes_pb2.Loaded(
            part_bytes=cut.part.nbytes,
            load_ms=load_ms,
            used=[nodes_pb2.Share(**vars(share)) for share in part.session.used],
            provider_off=part.session.off,
            types=types,
        )

    def warm(self, span: Span, runs: int) -> None:
        """Take a part that is held as the one opened last; its caches are cold, so warm it up."""
        checked_runs(runs)
        with self.turn:
            part = self.of(span)
            self._parts[span] = self._parts.pop(span)
            part.session.warm(runs, part.fed)

    def drop(self, keep: Collection[Span] = ()) -> None:
        """Close the sessions of all parts but those of the layers in ``keep``."""
        for span in [*self._parts]:
            if span not in keep:
                self.close(self._parts.pop(span))

    def opened(self, cut: CutPart, threads: int) -> OpenPart:
        """A part with a session, to be closed by :meth:`close`; NodeError when there are many."""
        with self._session():
            # no more threads than there are CPUs: a runtime would start them all
            return OpenPart(cut, min(threads, os.cpu_count() or 1), self.provider)

    def open_batch(self, span: Span, most: int, most_bytes: int) -> float:
        """Have a part that is held run up to so many frames together, of no more bytes.

        How far it is off then, of the largest value; NodeError with the reason where it cannot, and
        once nobody waits for it.
        """
        with held_in_turn(self.turn):
            part = self.of(span)
            what = f"the part of the layers {words(span)} on up to {most} frames together"
            if (room := most_together(part.session, most_bytes)) < most:
                raise NodeError(
                    f"cannot run {what}: {room} are the most that limits.tensor_bytes has room for"
                )
            try:
                with nullcontext() if part.batch else self._session():
                    return part.open_batch(most)
            except UsageError as error:
                raise NodeError(f"cannot run {what}: {error}; leave --batch") from None

    @contextmanager
    def _session(self) -> Iterator[None]:
        """Open one more inside; NodeError when there are many."""
        if not self._sessions.acquire(blocking=False):
            raise NodeError(
                f"the {self._node} node has {self._most} sessions open: hold fewer "
                "splits, try again when others are done, or raise limits.sessions"
            )
        try:
            yield
        except BaseException:
            self._sessions.release()
            raise
        SESSIONS.inc()

    def close(self, part: OpenPart) -> None:
        """Close a part that :meth:`opened` gave."""
        for _ in (part.session, part.batch) if part.batch else (part.session,):
            self._sessions.release()
            SESSIONS.dec()
        part.close()


def _types(part: OpenPart) -> dict[str, int]:
    """How many nodes compute in which type, as a run tells; none where that cannot be told."""
    fed = part.session.made_up() if part.fed is None else part.fed
    path, session = part.cut.part.path, part.session
    if path is None or part.cut.model.runtime != "onnx":
        return {}
    from splitbed.runtime.onnx import types_of  # few parts are of a version

    try:
        return types_of(path, fed, session.threads, session.provider)
    except SplitbedError:  # what is made up need not make sense to it
        return {}


def _warm(
    session: PartSession,
    runs: int,
    inputs: Sequence[TensorInfo],
    feed: Callable[[], Tensors | None],
) -> Tensors | None:
    """Run it on made-up inputs, or on what `feed` gives, which is given back."""
    fed = feed() if runs and any(info.is_index for info in inputs) else None
    try:
        session.warm(runs, fed)
    except NodeError:
        check_wanted()
        # a size may have been computed from what was made up, in floating point, too
        if fed is not None or (fed := feed()) is None:
            raise
        session.warm(runs, fed)
    return fed
