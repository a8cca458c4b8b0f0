"""The command line of a node: what `ue-node` and `edge-node` have in common."""

import gc
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from splitbed.command import program
from splitbed.errors import UsageError

if TYPE_CHECKING:  # heavy imports wait until a command needs them
    from splitbed.node.config import NodeConfig
    from splitbed.node.host import NodeHost
    from splitbed.node.serve import Plane

GRPC_EXPERIMENTS = "-event_engine_client,-event_engine_listener"
"""Of its experiments: whoever waits for a message looks for it himself, and no pool of threads.

On loopback 86 KB and their answer took 0.38 ms, in place of 0.46 (bench `transport`, one run).
"""
_OTHER_THREADS = 64
_IN_FLIGHT = 64
"""Of a load, and of a stream; where several have as many, what comes on the others waits."""
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


def _most_threads(config: "NodeConfig") -> int:
    """Those of calls on each plane, of sessions, of frames under way together, and of all else."""
    limits = config.limits
    sessions = limits.sessions * (os.cpu_count() or 1)
    return 6 * limits.streams + sessions + 2 * _IN_FLIGHT + _OTHER_THREADS


def run_node(
    role: Literal["ue", "edge"],
    config: "NodeConfig",
    planes: "Callable[[NodeHost, ExitStack], Sequence[Plane]]",
) -> None:
    """Serve what ``planes`` makes for this node's host until SIGTERM; the stack ends with it."""
    os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)  # read when gRPC begins
    from splitbed.ending import unread_stderr
    from splitbed.logs import configure
    from splitbed.meters.exported import export
    from splitbed.meters.process import METER
    from splitbed.node.host import NodeHost
    from splitbed.node.own_folder import own_folder
    from splitbed.node.serve import end, serve
    from splitbed.runtime import check_provider
    from splitbed.runtime.memory import bound_memory, give_back_freed_memory, keep_freed_memory
    from splitbed.telemetry import serving as serving_metrics
    from splitbed.workers.allowance import ALLOWED
    from splitbed.workers.fork_server import prepare

    configure(config.log)
    prepare()
    check_provider(config.provider)
    ALLOWED.session_bytes = config.limits.session_bytes
    keep_freed_memory()
    with ExitStack() as stack:
        stack.enter_context(unread_stderr())
        folder = stack.enter_context(own_folder(f"{role}-node-"))
        stack.enter_context(serving_metrics(config.metrics, config.tls, insecure=config.insecure))
        if config.metrics:
            export(METER)
        host = NodeHost(role, folder, config.limits, config.provider)
        host.description.name = config.name
        host.model_coders = config.model_coders
        served = planes(host, stack)
        host.forget.append(give_back_freed_memory)  # last, of what the others forgot
        bound_memory(config.limits.own_bytes, _most_threads(config))
        gc.freeze()  # modules stay: to look through them takes 40 ms, in which no call is taken
        serve(config, host.in_flight, *served)
    end()
