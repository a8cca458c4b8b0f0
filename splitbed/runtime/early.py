"""The trial of a file that is still on its way: all of it is there but its weights, which are zero.

skeleton ── link ──> outline ──> trial ┐
weights  ── link ───────────────> file ┴─> passed, as soon as its last byte is there
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from splitbed.errors import UsageError
from splitbed.graphs.formats import format_named
from splitbed.runtime import RUNTIMES
from splitbed.runtime.trial import KNOWN, Asked, Trial


class Early:
    """Tries ``asked``, which comes, as soon as there is a file ``outline``; leaving it ends that.

    Raises UsageError for one that is refused whatever its weights are.
    """

    def __init__(self, asked: Asked, outline: Path) -> None:
        self._asked, self._outline = asked, outline
        self._form = format_named(RUNTIMES[asked.runtime].format)
        self._trial: Trial | None = None
        self._stack = ExitStack()

    def look(self) -> None:
        """Begin, if it is there."""
        if self._trial is None and self._outline.exists():
            self._form.check_received(self._outline)
            early = replace(self._asked, path=str(self._outline), early=True)
            self._trial = self._stack.enter_context(Trial(early))

    def end(self, path: Path, sha256: str) -> None:
        """The whole file is there; it has passed, unless what came later may change that.

        Which bytes came later is what its sender says: it must be as the outline was, but for
        values of weights that decide no size.
        """
        KNOWN.learn(path, sha256)
        self.look()
        if _alike(path, self._outline, self._settled()):
            whole = replace(self._asked, path=str(path))
            KNOWN.add(whole.files, whole.run)
        else:
            self._form.check_received(path)

    def _settled(self) -> list[tuple[int, int]] | None:
        if self._trial is None:
            return None
        try:
            return self._trial.finish()
        except UsageError:  # whoever opens it tries it, and says why it is refused
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def _alike(path: Path, other: Path, but: Sequence[tuple[int, int]] | None) -> bool:
    """Whether two files have the same bytes but for those from … to; not where None are said."""
    if but is None or path.stat().st_size != other.stat().st_size:
        return False
    with path.open("rb", 0) as one, other.open("rb", 0) as another:
        place = 0
        for begin, end in (*but, (path.stat().st_size, -1)):
            for file in (one, another):
                file.seek(place)
            if one.read(begin - place) != another.read(begin - place):
                return False
            place = end
    return True
