"""The same asked of several nodes at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

_P = ParamSpec("_P")
_Of = TypeVar("_Of")
_Answer = TypeVar("_Answer")


def at_once(
    ask: Callable[Concatenate[_Of, _P], _Answer],
    every: Sequence[_Of],
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> list[_Answer]:
    """What `ask` gives for each, in their order, each in a thread; here, where there is one.

    Raises what the first of them raised, once all have ended.
    """
    if len(every) == 1:
        return [ask(every[0], *args, **kwargs)]
    with ThreadPoolExecutor(max(1, len(every))) as threads:
        asked = [threads.submit(ask, one, *args, **kwargs) for one in every]
    return [one.result() for one in asked]
