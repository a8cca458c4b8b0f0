"""Nodes at other machines, started and ended over OpenSSH.

    up ── ssh HOST sh ── node_at_host.sh start ── setsid nohup edge-node serve --config FILE
                                                  and its `--check`, until that says 0

How a host is reached (user, port, key, jump host) is the business of the user's own ssh
configuration. Which process is ours is written down at the host, by pid and start: only that one is
ended, whoever asks and however much later.
"""

import importlib.resources
import shlex
import subprocess
from collections.abc import Iterator

from orchestrator.ask.topology import Machines, NodePlace, kind_of
from splitbed.errors import MachineError, NodeError, UsageError

_SSH = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
_TIMEOUT_S = 90.0
_UNREACHABLE = 255  # ssh's own exit code; any other is the remote command's

_SAID = {
    "started": "started as process {pid}",
    "running": "is up already, as process {pid}",
    "foreign": "is up already; something else started it, and `down` leaves it alone",
    "ended": "was process {pid} and has ended",
    "stopped": "does not run, or something else started it",
}


def up(machines: Machines) -> Iterator[str]:
    """Start the nodes that have a host, the UE last; a sentence for each once it answers.

    A node that runs is left as it is. Raises UsageError where there is no host or a host without
    configuration, MachineError for a host that cannot be reached, NodeError for a node that did
    not come up.
    """
    for side, place in _hosts(machines):
        yield _asked("start", machines.name, side, place)


def down(machines: Machines) -> Iterator[str]:
    """End the nodes that `up` started, the UE first; a sentence for each.

    They finish the frames in flight. Raises as :func:`up` does, and NodeError for one that does not
    end.
    """
    for side, place in reversed(_hosts(machines)):
        yield _asked("stop", machines.name, side, place)


def _hosts(machines: Machines) -> list[tuple[str, NodePlace]]:
    # who is dialled before who dials
    found = [(side, place) for side, place in [*machines.nodes.items()][::-1] if place.ssh]
    if not found:
        raise UsageError(
            f"the topology {machines.name} gives no host to start a node at: "
            "give `ssh: user@host` beside `control:`, or start the nodes there by hand"
        )
    for side, place in found:
        if not place.config:
            raise UsageError(
                f"the topology {machines.name} gives no configuration for the {side} node: "
                f"give `config:`, the path of a file at {place.ssh}"
            )
    return found


def _asked(doing: str, name: str, side: str, place: NodePlace) -> str:
    node = [place.command or f"{kind_of(side)}-node", "serve", "--config", str(place.config)]
    remote = shlex.join(["sh", "-s", "--", doing, f"{name}-{side}", *node])
    script = (importlib.resources.files(__package__) / "node_at_host.sh").read_text()
    try:
        done = subprocess.run(
            [*_SSH, "--", str(place.ssh), remote],
            input=script,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise MachineError("ssh is not installed; repair: apt-get install openssh-client") from None
    except subprocess.TimeoutExpired:
        raise MachineError(
            f"{place.ssh} did not {doing} the {side} node within {_TIMEOUT_S:g} s: it hangs, or the"
            f" way to it does; see `ssh {place.ssh} uptime`"
        ) from None
    # a login may say more, before and on stderr: the last line is ours
    why = _last_line(done.stderr)
    if done.returncode == _UNREACHABLE:
        raise MachineError(
            f"cannot reach {place.ssh} for the {side} node: {why}; "
            f"repair: make `ssh {place.ssh} true` work without a question"
        )
    if done.returncode:
        raise NodeError(f"the {side} node at {place.ssh} {why} (`{shlex.join(node)}`)")
    did, _, pid = _last_line(done.stdout).partition(" ")
    if did not in _SAID:
        raise NodeError(f"{place.ssh} ran something else than it was asked to: {did} {pid}")
    return f"the {side} node at {place.ssh} {_SAID[did].format(pid=pid)}"


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1].strip() if text.strip() else "no reason given"
