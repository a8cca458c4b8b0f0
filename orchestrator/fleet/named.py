"""The fleets that can be asked for, by what `--on` says."""

from pathlib import Path

from orchestrator.fleet.apart import Apart
from orchestrator.fleet.cluster_file import SUFFIXES, address_in
from orchestrator.fleet.fleet import Fleet
from orchestrator.fleet.on_ray import CLIENT, LOCAL, RayFleet
from orchestrator.fleet.on_slurm import SLURM, SlurmFleet
from splitbed.errors import UsageError

WORDS = (
    f"{LOCAL}, ray://HOST:PORT, HOST:PORT or FILE.yaml of a Ray cluster, "
    f"{SLURM}[:partition=NAME,hours=N]"
)


def fleet_named(word: str) -> Fleet:
    """What it names; UsageError for what names none, MachineError for what is not installed."""
    kind, _, rest = word.partition(":")
    if word == LOCAL:
        return Apart(RayFleet(None))
    if kind == SLURM:
        return SlurmFleet(rest)
    if word.endswith(SUFFIXES):
        return Apart(RayFleet(address_in(Path(word))))
    host, _, port = word.removeprefix(CLIENT).rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        return Apart(RayFleet(word))
    raise UsageError(f"--on {word}: give {WORDS}")
