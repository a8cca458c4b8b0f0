"""The command ``splitbed``: what a testbed of several machines needs before its nodes start."""

from pathlib import Path
from typing import Annotated

import typer

from splitbed.command import Commands, program, run_command_line

app = program("Preparations for nodes on machines of their own.")
certs = Commands("Certificates, with which nodes and orchestrator know each other.")
app.add_typer(certs, name="certs")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the certificates.")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How long they are valid.")]


@certs.command()
def init(
    ue: Annotated[str, typer.Option(help="How others reach the UE node: HOST_OR_IP[,…].")],
    edge: Annotated[str, typer.Option(help="How others reach the edge node: HOST_OR_IP[,…].")],
    folder: Folder = Path("certs"),
    days: Days = 365,
    token: Annotated[bool, typer.Option("--token", help="Make a shared token, too.")] = False,
) -> None:
    """Make an authority, and certificates for both nodes and the orchestrator."""
    from splitbed.security import certificates

    certificates.create(folder, {"ue": _hosts(ue), "edge": _hosts(edge)}, days, token=token)
    _say_what_goes_where(folder)


@certs.command()
def renew(
    folder: Folder = Path("certs"),
    ue: Annotated[str | None, typer.Option(help="Other hosts than so far: HOST[,…].")] = None,
    edge: Annotated[str | None, typer.Option(help="Other hosts than so far: HOST[,…].")] = None,
    days: Days = 365,
) -> None:
    """Make new certificates of the same authority, for the same keys."""
    from splitbed.security import certificates

    asked = {"ue": ue, "edge": edge}
    hosts = {role: _hosts(listed) for role, listed in asked.items() if listed is not None}
    certificates.renew(folder, hosts, days)
    _say_until(folder)
    print(
        f"copy {folder / 'ue.pem'} and {folder / 'edge.pem'} over the old ones on their machines,"
    )
    print("then restart the nodes; keys, ca.pem and token are as before")


def _hosts(listed: str) -> list[str]:
    return [host.strip() for host in listed.split(",")]


def _say_until(folder: Path) -> None:
    from splitbed.security.certificates import valid_until

    until = valid_until(folder / "orchestrator.pem")
    print(f"{folder}: valid until {until:%Y-%m-%d}, then `splitbed certs renew {folder}`\n")


def _say_what_goes_where(folder: Path) -> None:
    token = ["token"] if (folder / "token").exists() else []
    _say_until(folder)
    for role in ("ue", "edge"):
        files = ["ca.pem", f"{role}.pem", f"{role}.key", *token]
        print(f"copy to the machine of the {role} node, beside its {role}.yaml:")
        print("   ", *(folder / file for file in files))
        print(f"and into {role}.yaml:")
        _say_lines(Path(), role, token)
    print("into the topology, on this machine:")
    _say_lines(folder, "orchestrator", token)
    print(f"{folder / 'ca.key'} stays here: who has it can make certificates.")


def _say_lines(folder: Path, role: str, token: list[str]) -> None:
    ca, cert, key = (folder / name for name in ("ca.pem", f"{role}.pem", f"{role}.key"))
    print(f"    tls: {{ca: {ca}, cert: {cert}, key: {key}}}")
    for name in token:
        print(f"    token_file: {folder / name}")
    print()


def main() -> None:
    """Entry point of `splitbed`."""
    run_command_line(app)


if __name__ == "__main__":
    main()
