"""The command ``splitbed``: what a testbed of several machines needs before its nodes start."""

from pathlib import Path
from typing import Annotated

import typer

from splitbed.command import Commands, program, run_command_line
from splitbed.errors import UsageError

app = program("Preparations for nodes on machines of their own.")
certs = Commands("Certificates, with which nodes and orchestrator know each other.")
app.add_typer(certs, name="certs")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the certificates.")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How long they are valid.")]


UeHosts = Annotated[str | None, typer.Option(help="How others reach the UE node: HOST_OR_IP[,…].")]
EdgeHosts = Annotated[
    str | None, typer.Option(help="How others reach the edge node: HOST_OR_IP[,…].")
]
NodeHosts = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=HOST[,…]", help="A node of another name; again for each."),
]


@certs.command()
def init(
    folder: Folder = Path("certs"),
    ue: UeHosts = None,
    edge: EdgeHosts = None,
    node: NodeHosts = None,
    days: Days = 365,
    token: Annotated[bool, typer.Option("--token", help="Make a shared token, too.")] = False,
) -> None:
    """Make an authority, and certificates for nodes and the orchestrator."""
    from splitbed.security import certificates

    hosts = _hosts(ue, edge, node)
    if not hosts:
        raise UsageError("certificates of which nodes? Give --ue, --edge, or --node NAME=HOST")
    certificates.create(folder, hosts, days, token=token)
    _say_what_goes_where(folder)


@certs.command()
def renew(
    folder: Folder = Path("certs"),
    ue: UeHosts = None,
    edge: EdgeHosts = None,
    node: NodeHosts = None,
    days: Days = 365,
) -> None:
    """Make new certificates of the same authority, for the same keys; hosts are as before.

    A node that is named anew has these hosts instead, one that had no certificate gets one.
    """
    from splitbed.security import certificates

    certificates.renew(folder, _hosts(ue, edge, node), days)
    _say_until(folder)
    files = " and ".join(str(folder / f"{name}.pem") for name in _nodes(folder))
    print(f"copy {files} over the old ones on their machines,")
    print("whoever connects from then on is shown them; keys, ca.pem and token are as before")


def _hosts(ue: str | None, edge: str | None, nodes: list[str] | None) -> dict[str, list[str]]:
    """By the names of nodes, as the options give them."""
    from splitbed.node.config import is_node_name

    asked = {name: hosts for name, hosts in (("ue", ue), ("edge", edge)) if hosts is not None}
    for word in nodes or ():
        name, _, hosts = word.partition("=")
        if not hosts or not is_node_name(name) or name in (*asked, "ca", "orchestrator"):
            raise UsageError(
                f"--node {word}: give NAME=HOST[,…], each name once, such as cloud=192.0.2.30"
            )
        asked[name] = hosts
    return {name: [host.strip() for host in hosts.split(",")] for name, hosts in asked.items()}


def _nodes(folder: Path) -> list[str]:
    from splitbed.security.certificates import ORCHESTRATOR, certified

    return [name for name in certified(folder) if name != ORCHESTRATOR]


def _say_until(folder: Path) -> None:
    from splitbed.security.certificates import valid_until

    until = valid_until(folder / "orchestrator.pem")
    print(f"{folder}: valid until {until:%Y-%m-%d}, then `splitbed certs renew {folder}`\n")


def _say_what_goes_where(folder: Path) -> None:
    token = ["token"] if (folder / "token").exists() else []
    _say_until(folder)
    for name in _nodes(folder):
        files = ["ca.pem", f"{name}.pem", f"{name}.key", *token]
        print(f"copy to the machine of the {name} node, beside its {name}.yaml:")
        print("   ", *(folder / file for file in files))
        print(f"and into {name}.yaml:")
        _say_lines(Path(), name, token)
    print("into the topology, on this machine:")
    _say_lines(folder, "orchestrator", token)
    print(f"{folder / 'ca.key'} stays here: who has it can make certificates.")


def _say_lines(folder: Path, who: str, token: list[str]) -> None:
    ca, cert, key = (folder / name for name in ("ca.pem", f"{who}.pem", f"{who}.key"))
    print(f"    tls: {{ca: {ca}, cert: {cert}, key: {key}}}")
    for name in token:
        print(f"    token_file: {folder / name}")
    print()


def main() -> None:
    """Entry point of `splitbed`."""
    run_command_line(app)


if __name__ == "__main__":
    main()
