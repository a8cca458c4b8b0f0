"""Who may call, by name and token alone: each case that lets in beside those that do not."""

from types import SimpleNamespace
from typing import cast

import grpc
import pytest

from splitbed.security.access import HEALTH_CHECK, Guard, bearing, names_of

CALL = "/splitbed.v1.Edge/Load"
KEY, RIGHT, WRONG = "authorization", "Bearer word", "Bearer sword"


def refused(guard: Guard, *metadata: tuple[str, str | bytes], names: tuple[str, ...] = ()) -> str:
    """The status that a call is refused with; nothing where it is let in."""
    told = guard.refusal(CALL, metadata, names)
    return told[0].name if told else ""


@pytest.mark.parametrize("borne", [RIGHT, RIGHT.encode()])
def test_the_token_lets_in(borne: str | bytes) -> None:
    assert not refused(Guard(None, "word"), ("first", "1"), (KEY, borne), ("last", "2"))


@pytest.mark.parametrize(
    "borne",
    [
        (),
        (WRONG,),
        ("word",),
        ("",),
        ("Bearer",),
        (f"{RIGHT} ",),
        (f"{RIGHT}s",),
        (RIGHT[:-1],),
        (RIGHT.lower(),),
        ("Bearer w\u00f6rd",),
        (b"\xff\xfe",),
        (RIGHT, WRONG),
        (WRONG, RIGHT),
        (RIGHT, RIGHT),
    ],
)
def test_any_other_does_not_nor_one_beside_it(borne: tuple[str | bytes, ...]) -> None:
    said = refused(Guard(None, "word"), *[(KEY, one) for one in borne])
    assert said == "UNAUTHENTICATED"


def test_a_token_under_another_name_is_none() -> None:
    assert refused(Guard(None, "word"), ("token", RIGHT), ("authorizatio", RIGHT))


def test_who_asks_for_no_token_takes_any() -> None:
    assert not refused(Guard(None, None))
    assert not refused(Guard(None, None), (KEY, WRONG))


@pytest.mark.parametrize(
    ("names", "let_in"),
    [
        (("orchestrator",), True),
        (("ue", "orchestrator"), True),
        (("ue",), False),
        (("ue", "edge"), False),
        (("orchestrator ",), False),
        (("Orchestrator",), False),
        (("",), False),
        ((), False),
    ],
)
def test_names_let_in_that_are_known(names: tuple[str, ...], let_in: bool) -> None:
    said = refused(Guard({"orchestrator"}, None), names=names)
    assert said == ("" if let_in else "PERMISSION_DENIED")


def test_a_name_stands_for_no_token_nor_a_token_for_a_name() -> None:
    guard = Guard({"orchestrator"}, "word")
    assert refused(guard, names=("orchestrator",)) == "UNAUTHENTICATED"
    assert refused(guard, (KEY, RIGHT), names=("ue",)) == "PERMISSION_DENIED"
    assert not refused(guard, (KEY, RIGHT), names=("orchestrator",))


def test_health_alone_is_told_to_everybody() -> None:
    guard = Guard({"orchestrator"}, "word")
    assert [guard.refusal(method, (), ()) for method in HEALTH_CHECK] == [None]
    assert guard.refusal("/grpc.health.v1.Health/Watch", (), ())
    assert guard.refusal("", (), ())


def test_a_call_bears_what_there_is() -> None:
    assert bearing(None) == bearing("") == bearing(None, "") == ()
    assert bearing("word") == ((KEY, RIGHT),)
    assert bearing(None, "a run") == (("splitbed-run", "a run"),)
    assert bearing("word", "a run") == ((KEY, RIGHT), ("splitbed-run", "a run"))


@pytest.mark.parametrize(
    ("shown", "names"),
    [
        ({}, ()),
        ({"x509_common_name": [b"ue"]}, ("ue",)),
        ({"x509_common_name": [b"ue", b"edge"]}, ("ue", "edge")),
        ({"x509_common_name": [b"\xff"]}, ("\ufffd",)),
        ({"x509_subject_alternative_name": [b"orchestrator"]}, ()),
    ],
)
def test_a_caller_is_whom_his_certificate_names(
    shown: dict[str, list[bytes]], names: tuple[str, ...]
) -> None:
    context = SimpleNamespace(auth_context=lambda: shown)
    assert names_of(cast(grpc.ServicerContext, context)) == names
