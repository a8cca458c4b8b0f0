"""The command line of a node: what `ue-node` and `edge-node` have in common."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from splitbed.command import program
from splitbed.errors import UsageError

if TYPE_CHECKING:  # heavy imports wait until a command needs them
    from splitbed.node.config import NodeConfig

Options = dict[str, str | bool | dict[str, str] | None]
"""By name, those not given None."""


ConfigOption = Annotated[Path | None, typer.Option(help="YAML with these options as keys.")]
ControlOption = Annotated[
    str | None, typer.Option(help="unix:PATH or IP:PORT for the orchestrator.")
]
MetricsOption = Annotated[str | None, typer.Option(help="IP:PORT for Prometheus.")]
LogOption = Annotated[str | None, typer.Option(help="console or json.")]
NameOption = Annotated[str | None, typer.Option(help="Its name in the topology.")]
DialOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=IP:PORT", help="A node that it dials; again for each."),
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Listen beyond loopback without TLS.")
]
ProviderOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[:KEY=VALUE,…]",
        help="What computes parts: cuda, openvino, xnnpack … of those that its runtime has.",
    ),
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Ask the running node whether it serves; exit 0 or 1.")
]


def node_app(
    about: str,
    own: Mapping[str, str],
    configured: "Callable[[Path | None, Options], NodeConfig]",
    serve: "Callable[[NodeConfig], None]",
) -> typer.Typer:
    """The command of a node with ``serve``; ``own`` are options of its own, and what they say.

    ``configured`` checks what was asked, a file's options under those given.
    """
    app = program(about)

    @app.command("serve")
    @_with(own)
    def command(
        places: Options,
        config: ConfigOption = None,
        control: ControlOption = None,
        name: NameOption = None,
        dial: DialOption = None,
        metrics: MetricsOption = None,
        provider: ProviderOption = None,
        log: LogOption = None,
        insecure: InsecureOption = False,
        check: CheckOption = False,
    ) -> None:
        """Serve until SIGTERM; what is in flight is finished."""
        options = places | {"control": control, "metrics": metrics, "log": log}
        options |= {"name": name, "dials": _dials(dial or ()), "insecure": insecure or None}
        options |= {"provider": provider}
        asked = configured(config, options)
        if check:
            from splitbed.node.serve import check as ask

            ask(asked)
        else:
            serve(asked)

    return app


def _with(own: Mapping[str, str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command, which takes them first, by name, options of a place each."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        _, *rest = inspect.signature(command).parameters.values()

        def run(**given: object) -> None:
            command({name: given.pop(name) for name in own}, **given)

        added = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[str | None, typer.Option(help=words)],
            )
            for name, words in own.items()
        ]
        every = [one.replace(kind=one.KEYWORD_ONLY) for one in (*added, *rest)]
        run.__doc__ = command.__doc__
        run.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in every}
        return run

    return decorate


def _dials(given: Sequence[str]) -> dict[str, str] | None:
    dials = {}
    for word in given:
        name, _, place = word.partition("=")
        if not (name and place):
            raise UsageError(f"--dial {word}: give NAME=IP:PORT, such as cloud=192.0.2.30:50051")
        dials[name] = place
    return dials or None
