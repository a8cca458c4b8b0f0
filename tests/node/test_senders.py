"""Whose frames of an assignment are taken: of one node, as long as it is there."""

from dataclasses import dataclass

import pytest

from splitbed.errors import NodeError
from splitbed.node.streams.senders import Senders


@dataclass(eq=False)
class Peer:
    """A stream of a node that has dialled, with the names of its certificate."""

    peer: str
    names: tuple[str, ...] = ()
    there: bool = True

    def is_open(self) -> bool:
        return self.there


def test_the_first_to_send_is_the_one_until_he_has_gone() -> None:
    senders, first, other = Senders(), Peer("the node at :1"), Peer("the node at :2")
    senders.check(1, "ue", first)
    with pytest.raises(NodeError, match="from the node at :2: they come from ue, the node at :1"):
        senders.check(1, "ue", other)
    senders.check(2, "ue-2", other)
    senders.gone(first)
    senders.check(1, "ue", other)


def test_a_stream_that_has_ended_need_not_be_known_to_have() -> None:
    senders, first, other = Senders(), Peer("the node at :1"), Peer("the node at :2")
    senders.check(1, "ue", first)
    first.there = False
    senders.check(1, "ue", other)
    senders.gone(first)  # who is late to say so takes nothing from the other
    with pytest.raises(NodeError):
        senders.check(1, "ue", Peer("the node at :3"))


def test_another_stream_of_the_same_connection_is_the_same_nodes() -> None:
    senders = Senders()
    for _ in range(2):
        senders.check(1, "ue", Peer("the node at :1"))


def test_a_certificate_of_another_name_sends_nothing_in_its_place() -> None:
    senders = Senders()
    senders.check(1, "ue-1", Peer("the node at :1", ("ue-1",)))
    with pytest.raises(NodeError, match=r"by its certificate is ue-2: they come from ue-3"):
        senders.check(2, "ue-3", Peer("the node at :2", ("ue-2",)))
