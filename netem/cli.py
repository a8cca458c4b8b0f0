"""The command ``netem``: look at this machine's links, try one, prove one."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import SOCK_DGRAM
from typing import TYPE_CHECKING, Annotated

import typer

from splitbed.command import program, run_command_line
from splitbed.errors import RunError, UsageError

if TYPE_CHECKING:  # pydantic and the backends are imported when a command needs them
    from netem.link import Link
    from netem.spec import LinkSpec

app = program("Links between two network namespaces, shaped by the kernel's own sch_netem.")

Rate = Annotated[float | None, typer.Option(help="Rate each way, Ethernet frames.")]
Delay = Annotated[float, typer.Option(help="One-way delay.")]
Jitter = Annotated[float, typer.Option(help="Spread of the delay, plus or minus.")]
Loss = Annotated[float, typer.Option(help="Packets lost at random, 0 to 100.")]
Queue = Annotated[int, typer.Option(help="Packets that each direction holds.")]
Profile = Annotated[str | None, typer.Option(help="A named link instead: see `orchestrate links`.")]
BackendName = Annotated[str, typer.Option("--backend", help="auto, native, linkbox or mininet.")]


@app.command()
def prove(
    rate_mbit: Rate = None,
    delay_ms: Delay = 0,
    jitter_ms: Jitter = 0,
    loss_pct: Loss = 0,
    queue_packets: Queue = 1000,
    profile: Profile = None,
    backend: BackendName = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring a link up, shape it, measure it; exit 1 when it is not what was asked."""
    from netem.probe.client import prove as measure
    from netem.probe.proof import judge, nominal_rtt_ms
    from netem.probe.server import ProbeServer

    spec = _spec(profile, rate_mbit, delay_ms, jitter_ms, loss_pct, queue_packets)
    with (
        _shaped(backend, spec) as link,
        ProbeServer(link.edge_address, opened=link.edge.open_socket(SOCK_DGRAM)) as server,
    ):
        opened = link.ue.open_socket(SOCK_DGRAM)
        proof = measure(server.address, server.token, spec, opened=opened)
    if as_json:
        print(json.dumps({"backend": link.backend, "asked": spec.model_dump()} | vars(proof)))
    else:
        print(f"backend {link.backend}, {proof.attempts} attempt(s)")
        print(f"{'':10} {'asked':>10} {'measured':>10}")
        print(f"{'uplink':10} {spec.uplink.rate_mbit:10g} {proof.uplink_mbit:10.3f} Mbit/s")
        print(f"{'downlink':10} {spec.downlink.rate_mbit:10g} {proof.downlink_mbit:10.3f} Mbit/s")
        print(f"{'round trip':10} {nominal_rtt_ms(spec):10.3f} {proof.rtt_min_ms:10.3f} ms")
    if reason := judge(proof, spec):
        raise RunError(f"the link is not what was asked: {reason}")


@app.command(context_settings={"ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(help="After --, what to run on the UE's side.")],
    rate_mbit: Rate = None,
    delay_ms: Delay = 0,
    jitter_ms: Jitter = 0,
    loss_pct: Loss = 0,
    queue_packets: Queue = 1000,
    profile: Profile = None,
    backend: BackendName = "auto",
) -> None:
    """Run a command on the UE's side of a shaped link; $EDGE_ADDRESS is the other side."""
    spec = _spec(profile, rate_mbit, delay_ms, jitter_ms, loss_pct, queue_packets)
    with _shaped(backend, spec) as link:
        environment = os.environ | {"EDGE_ADDRESS": link.edge_address}
        exit_code = subprocess.run(link.ue.command(command), env=environment, check=False)
    raise typer.Exit(exit_code.returncode)


@app.command()
def apply(
    dev: Annotated[str, typer.Option(help="The interface to shape.")],
    rate_mbit: Rate = None,
    delay_ms: Delay = 0,
    jitter_ms: Jitter = 0,
    loss_pct: Loss = 0,
    queue_packets: Queue = 1000,
    profile: Profile = None,
    downlink: Annotated[bool, typer.Option("--downlink", help="Send as the edge does.")] = False,
    ingress: Annotated[bool, typer.Option("--ingress", help="Shape what comes in too.")] = False,
    port: Annotated[int | None, typer.Option(help="Of TCP and UDP: shape it alone.")] = None,
) -> None:
    """Shape an interface of this machine until Ctrl-C, then put it back as it was."""
    from netem.egress import Shaper

    spec = _spec(profile, rate_mbit, delay_ms, jitter_ms, loss_pct, queue_packets)
    out, back = (spec.downlink, spec.uplink) if downlink else (spec.uplink, spec.downlink)
    with Shaper(dev, port, ingress=ingress) as shaper:
        sent, received = shaper.apply(out, back if ingress else None)
        which = f"port {port}" if port else "everything"
        comes_in = f", receives {received.words}" if received else ""
        with suppress(KeyboardInterrupt):
            print(
                f"{dev} sends {sent.words}{comes_in} ({which}, by {shaper.kind}); Ctrl-C ends it",
                flush=True,
            )
            signal.pause()
    print(f"{dev} is as before: {shaper.restored}")


def _spec(profile: str | None, rate_mbit: float | None, *shape: float) -> "LinkSpec":
    from netem.profiles import PROFILES
    from netem.spec import symmetric

    if (profile is None) == (rate_mbit is None):
        raise UsageError("give either --rate-mbit or --profile")
    if profile is None:
        names = ("delay_ms", "jitter_ms", "loss_pct", "queue_packets")
        return symmetric(rate_mbit=rate_mbit, **dict(zip(names, shape, strict=True)))
    if profile not in PROFILES:
        raise UsageError(f"unknown profile {profile!r}; choose from {', '.join(PROFILES)}")
    return PROFILES[profile]


@contextmanager
def _shaped(backend: str, spec: "LinkSpec") -> "Iterator[Link]":
    from netem.backends import check_rates, choose, open_link

    backend = choose(backend)
    check_rates(backend, spec)
    with (
        tempfile.TemporaryDirectory(prefix="netem-") as run_dir,
        open_link(backend, Path(run_dir)) as link,
    ):
        link.shape(spec)
        yield link


def main() -> None:
    """Entry point of `netem`."""
    run_command_line(app)


if __name__ == "__main__":
    main()
