"""The signatures of the door's functions, in which each option stands."""

import inspect
from collections.abc import Callable
from typing import TypeVar, get_args, get_type_hints

F = TypeVar("F", bound=Callable[..., object])


def spelled_out(words: type) -> Callable[[F], F]:
    """Let a function, which takes `words` as keywords, tell each in its signature and its help.

    So a notebook completes them.
    """

    def decorate(function: F) -> F:
        told = inspect.signature(function)
        named = [one for one in told.parameters.values() if one.kind is not one.VAR_KEYWORD]
        hints = {n: get_args(h) for n, h in get_type_hints(words, include_extras=True).items()}
        options = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind | None
            )
            for name, (kind, _) in hints.items()
        ]
        signature = told.replace(parameters=[*named, *options])
        function.__signature__ = signature  # type: ignore[attr-defined]
        lines = (f"    {name:<16} {says.help}" for name, (_, says) in hints.items())
        function.__doc__ = "\n".join([f"{function.__doc__}", "    Options:", *lines])
        return function

    return decorate
