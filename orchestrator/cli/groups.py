"""Gives a command the options of groups, as the modules of :mod:`orchestrator.api` declare them."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, get_args, get_type_hints

import typer

from orchestrator.api.options import GROUPS, Says
from orchestrator.api.options.transit import TRANSIT_GROUPS

Asked = dict[str, object]
"""By name, the options of the groups that were given."""
Command = Callable[..., None]
_HEADINGS = {**GROUPS, **TRANSIT_GROUPS}


def grouped(*groups: type, only: Sequence[str] = (), **words: str) -> Callable[[Command], Command]:
    """Give a command, which takes :data:`Asked` first, the options of `groups` beside its own.

    Of the options, those in `only`, if it names any; `words` say an option's help where that is
    another for this command.
    """

    def decorate(command: Command) -> Command:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        declared = [one for group in groups for one in _options(group, words)]
        first = {one.name: one for one in reversed(declared)}  # of those that several groups have
        options = [one for one in declared if one is first[one.name]]
        options = [one for one in options if not only or one.name in only]
        names = [option.name for option in options]

        def run(**given: object) -> None:
            asked = {name: given.pop(name) for name in names}
            command({k: v for k, v in asked.items() if v is not None}, **given)

        parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in (*own, *options)]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run

    return decorate


def _options(group: type, words: dict[str, str]) -> Iterator[inspect.Parameter]:
    for name, hint in get_type_hints(group, include_extras=True).items():
        declared, says = get_args(hint)
        option = typer.Option(
            *([says.also, f"--{name.replace('_', '-')}"] if says.also else ()),
            help=words.get(name, says.help),
            show_default=False,
            rich_help_panel=_HEADINGS[group],
        )
        kind = Annotated[_kind(declared, says) | None, option]  # type: ignore[valid-type]
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def _kind(declared: object, says: Says) -> type:
    """What the command line takes: a number as it is, a list or a mapping as text."""
    if says.as_path:
        return Path
    return declared if declared in (bool, int, float) else str
