"""The trial of a file that is still on its way: all of it is there but its weights, which are zero.

skeleton ── link ──> outline ──> trial ┐
weights  ── link ───────────────> file ┴─> passed, as soon as its last byte is there
"""

from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from splitbed.errors import UsageError
from splitbed.graphs.formats import format_named
from splitbed.runtime import RUNTIMES
from splitbed.runtime.trial import KNOWN, Asked, Trial


class Early:
    """Tries ``asked`` as soon as there is a file ``outline``; leaving it ends that."""

    def __init__(self, asked: Asked, outline: Path) -> None:
        self._asked, self._outline = asked, outline
        self._trial: Trial | None = None
        self._stack = ExitStack()

    def look(self) -> None:
        """Begin, if it is there."""
        if self._trial is None and self._outline.exists():
            early = replace(self._asked, path=str(self._outline), early=True)
            self._trial = self._stack.enter_context(Trial(early))

    def end(self, path: Path, sha256: str) -> None:
        """The whole file is there; it has passed, unless what came later may change that.

        Which bytes came later is what its sender says: it must be as the outline was, but for
        values of weights that decide no size.
        """
        KNOWN.learn(path, sha256)
        self.look()
        if self._trial is None:
            return
        with suppress(UsageError):  # whoever opens it tries it, and says why it is refused
            settled = self._trial.finish()
            form = format_named(RUNTIMES[self._asked.runtime].format)
            if settled and form.settled(path) == settled:
                whole = replace(self._asked, path=str(path))
                KNOWN.add(whole.files, whole.run)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
