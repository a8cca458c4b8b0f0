"""Topologies: where the nodes are and how they are joined, as YAML to copy and change."""

import importlib.resources
from collections.abc import Iterable, Mapping
from functools import cached_property
from ipaddress import IPv4Network
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from netem.link import Addresses
from orchestrator.ask.links import OwnShape, OwnShapeWords
from splitbed.checked import Frozen, one_line, read_yaml
from splitbed.errors import UsageError, did_you_mean
from splitbed.node.config import LEAST_CPUS, MOST_CPUS, NodeName, Tls

PAIR = ("ue", "edge")
"""The nodes of whoever names none, which one link joins."""
MOST_UES = MOST_LINKS = 64
"""And of nodes one more than of links."""


def kind_of(node: str) -> Literal["ue", "edge"]:
    """Which program a node runs, by its name: ``ue`` and ``ue-…`` are UEs."""
    return "ue" if node.split("-", maxsplit=1)[0] == "ue" else "edge"


def called(node: str) -> str:
    """A node as people are told it: edge, UE, UE-B."""
    return node.upper() if kind_of(node) == "ue" else node


class LinkPlace(Frozen):
    """A link and the nodes that it joins: the nearer to the user first, which dials the other."""

    ends: tuple[NodeName, NodeName]
    shape: OwnShapeWords = OwnShape()
    """What it has of its own, whatever is swept."""


class _Joined(Frozen):
    """Nodes by name, and the links between them."""

    name: str
    links: Annotated[Mapping[str, LinkPlace], Field(max_length=MOST_LINKS)] = {
        "link": LinkPlace(ends=PAIR)
    }

    @property
    def names(self) -> tuple[str, ...]:
        """Those of its nodes."""
        raise NotImplementedError

    def _check_joined(self) -> None:
        """Raise ValueError for a link that joins no two of the nodes, or a node without one."""
        joined: dict[frozenset[str], str] = {}
        for name, place in self.links.items():
            for end in place.ends:
                if end not in self.names:
                    meant = did_you_mean(end, self.names, otherwise=";")
                    raise ValueError(
                        f"the link {name} ends at {end}, which is no node of it{meant} "
                        f"its nodes are {', '.join(self.names)}"
                    )
            near, far = place.ends
            if near == far:
                raise ValueError(f"both ends of the link {name} are {near}")
            if kind_of(far) == "ue":
                raise ValueError(
                    f"nobody dials a UE, as {near} would {far} over the link {name}: "
                    f"give its ends as [{far}, {near}]"
                )
            if other := joined.get(frozenset(place.ends)):
                raise ValueError(
                    f"the links {other} and {name} join the same nodes, "
                    f"{' and '.join(place.ends)}: give one"
                )
            joined[frozenset(place.ends)] = name
        if apart := [node for node in self.names if not any(node in both for both in joined)]:
            raise ValueError(f"no link reaches {', '.join(apart)}")


def _no_duplicates(names: tuple[str, ...]) -> tuple[str, ...]:
    if len({*names}) < len(names):
        raise ValueError("a node is named twice")
    return names


class LocalLink(LinkPlace):
    """A link between two namespaces; its ``subnet`` is seen inside of them only."""

    subnet: str | None = None


class UePlace(Frozen):
    """What one of several UEs has of its own; all else it has as it is swept.

    ``shape`` is that of its access, before the link that all of them share.
    """

    split: str | None = None
    codec: str | None = None
    load: str | None = None
    slowdown: float | None = Field(None, ge=1, le=1000)
    cpus: float | None = Field(None, ge=LEAST_CPUS, le=MOST_CPUS)
    shape: OwnShapeWords = OwnShape()

    @model_validator(mode="after")
    def _has_one_pace(self) -> Self:
        if self.slowdown is not None and self.cpus is not None:
            raise ValueError("a UE is slowed by slowdown, or by cpus: give one")
        return self


class Namespaces(_Joined):
    """Namespaces on this machine, one a node, and the links between them.

    With ``ues`` the node ``ue`` is each of these, all over its one link. Where it is ``shared``,
    its links are one: each node dials the same other through it.
    """

    link_backend: str = "auto"
    subnet: str = "10.77.0.0/24"
    """Of the first link; a link that names none has the next one."""
    data_port: int = Field(50051, ge=1024, le=65535)
    nodes: Annotated[tuple[NodeName, ...], AfterValidator(_no_duplicates)] = PAIR
    links: Annotated[Mapping[str, LocalLink], Field(max_length=MOST_LINKS)] = {
        "link": LocalLink(ends=PAIR)
    }
    ues: Annotated[Mapping[NodeName, UePlace], Field(max_length=MOST_UES)] = {}
    shared: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return self.nodes

    @cached_property
    def subnets(self) -> dict[str, str]:
        """Of each link."""
        return {
            name: link.subnet or self._subnet(place)
            for place, (name, link) in enumerate(self.links.items())
        }

    @property
    def shared_subnet(self) -> str:
        """Of the one link that all are, where it is shared; what a link has is its access's."""
        return self._subnet(len(self.links))

    def accesses(self, ues: Iterable[str]) -> dict[str, str]:
        """The subnet of each UE's access, where there are several.

        UsageError for one that a link has of its own.
        """
        found = {name: self._subnet(place) for place, name in enumerate(ues, len(self.links))}
        for (ue, at), (link, there) in product(found.items(), self.subnets.items()):
            if IPv4Network(at).overlaps(IPv4Network(there)):
                raise UsageError(
                    f"the way of {ue} to the link would be {at}, which overlaps the subnet of "
                    f"{link}, {there}: give the links none, and the topology another `subnet`"
                )
        return found

    def _subnet(self, place: int) -> str:
        first = IPv4Network(self.subnet)
        return f"{first[0] + place * first.num_addresses}/{first.prefixlen}"

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        self._check_joined()
        Addresses.of(self.subnet)
        for subnet in self.subnets.values():
            Addresses.of(subnet)
        shared = {"the link that is shared": self.shared_subnet} if self.shared else {}
        for (one, at), (other, there) in combinations({**self.subnets, **shared}.items(), 2):
            if IPv4Network(at).overlaps(IPv4Network(there)):
                raise ValueError(f"the subnets of {one} and {other}, {at} and {there}, overlap")
        for name in self.ues:
            if kind_of(name) != "ue" or name in self.nodes:
                raise ValueError(f"ues: {name} cannot be one of several: call them ue-1, ue-2, …")
        if self.shared:
            self._check_shared()
        return self

    def _check_shared(self) -> None:
        """Raise ValueError for links that cannot be one."""
        dialled = {place.ends[1] for place in self.links.values()}
        if len(self.links) < 2 or len(dialled) > 1:
            raise ValueError(
                "shared: links are one where several nodes dial the same other: those here join "
                + ", ".join("-".join(place.ends) for place in self.links.values())
            )
        if own := [name for name, place in self.links.items() if place.shape != OwnShape()]:
            raise ValueError(
                f"shared: {own[0]} has a shape of its own, and the one link that all are has what "
                "is swept: leave it"
            )


class NodePlace(Frozen):
    """Where a node's control plane is; and for `orchestrate up`, how it is started there."""

    control: str
    ssh: str | None = None
    config: str | None = None
    command: str | None = None


class Machines(_Joined):
    """Nodes that run as services, each of which shapes what it sends.

    In a file the two of a pair may stand by themselves, as ``ue`` and ``edge``.
    """

    nodes: Mapping[NodeName, NodePlace]
    tls: Tls | None = None
    token_file: Path | None = None
    insecure: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.nodes)

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, content: object) -> object:
        if not isinstance(content, dict):
            return content
        if "ues" in content:
            raise ValueError(
                "ues: several share one link, which is shaped, and machines have each an interface "
                "of its own: leave them, or the machines"
            )
        if "nodes" in content:
            return content
        rest = {key: value for key, value in content.items() if key not in PAIR}
        return rest | {"nodes": {side: content[side] for side in PAIR if side in content}}

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        self._check_joined()
        return self


Topology = Namespaces | Machines


def load_topology(file: Path | None, usual: str = "pair") -> Topology:
    """The topology of a file, or ours of the ``usual`` name; UsageError when it is none.

    Paths in the file are relative to it.
    """
    source = file or importlib.resources.files("topologies") / f"{usual}.yaml"
    content = read_yaml(source, "topology")
    try:
        if file and ({*PAIR} & content.keys() or isinstance(content.get("nodes"), dict)):
            return Machines.model_validate(_anchored(content, file.parent))
        return Namespaces.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{source} is no topology: {one_line(error)}") from None


def load_machines(file: Path) -> Machines:
    """The topology of a file that is one of machines; UsageError when it is none."""
    topology = load_topology(file)
    if not isinstance(topology, Machines):
        raise UsageError(f"{file} names no machines: give `ue` and `edge`, each with its `control`")
    return topology


def _anchored(content: dict[str, object], folder: Path) -> dict[str, object]:
    if isinstance(tls := content.get("tls"), dict):
        content["tls"] = {name: folder / str(path) for name, path in tls.items()}
    if isinstance(token := content.get("token_file"), str):
        content["token_file"] = folder / token
    return content
