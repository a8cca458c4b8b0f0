"""What comes through the door of a port, and what takes nobody's place there."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from splitbed.errors import NodeError
from splitbed.logs import Seldom
from splitbed.node import serve
from splitbed.node.answering import answering
from splitbed.node.calls import door as doors
from splitbed.node.calls import lease as leases
from splitbed.node.calls import slots as all_slots
from splitbed.node.calls.door import Door, Inline
from splitbed.node.calls.lease import Lease
from splitbed.node.calls.slots import Slots
from splitbed.node.config import EdgeConfig, Tls
from splitbed.node.serve import CLIENTS, NODES, InFlight, Plane, door_of
from splitbed.security.access import RUN_KEY, Guard, open_channel, server_credentials
from splitbed.security.authority import Authority, issue_authority
from splitbed.workers.wanted import check_wanted, sleep_until
from tests.security.certified import certified
from tests.shared_machine import until

OURS = frozenset({"orchestrator"})
CLIENTS_SERVICE = "inference.GRPCInferenceService"
ENDED = {grpc.StatusCode.CANCELLED}


@dataclass
class Node:
    """A service behind a door: it takes all that is sent, and works until it may go on."""

    address: str = ""
    lease: Lease = field(default_factory=lambda: Lease(lambda: 0.0))
    go_on: threading.Event = field(default_factory=threading.Event)
    working: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def take(self, request: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        return b"".join(request)

    def take_and_work(self, request: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        return self.work(self.take(request, context), context)

    def echo(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return request

    def work(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.working.append("works")
        assert self.go_on.wait(30)
        return request

    @answering
    def compute(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.working.append("computes")
        try:
            while True:
                check_wanted()
                time.sleep(0.01)
        except NodeError as error:
            self.ended.append(str(error))
            raise

    @answering
    def sleep(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.working.append("sleeps")
        try:
            sleep_until(math.inf)
        except NodeError as error:
            self.ended.append(str(error))
            raise
        return request

    def ask_another(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        with grpc.insecure_channel("127.0.0.1:1") as nobody:
            echo: Any = nobody.unary_unary("/Node/echo")
            return bytes(echo(request))

    def watch(
        self, request: bytes, context: grpc.ServicerContext, tell: Callable[..., None]
    ) -> None:
        """As gRPC's health service: told, and ceased to be told, under a lock."""
        if request == b"second":
            with self.lock:
                assert self.closing.wait(30)
                tell(request)
        else:
            context.add_callback(self.cease)
            tell(request)

    def cease(self) -> None:
        self.closing.set()
        with self.lock:
            self.ended.append("ceased")

    def reset(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.lease.give_up_others(context)
        return request


@dataclass
class Caller:
    """A channel to it."""

    channel: grpc.Channel
    run: str | None = None

    def ask(self, name: str = "echo", timeout: float = 20) -> bytes:
        return bytes(self._unary(name)(b"x", timeout=timeout, metadata=self._metadata))

    def begin(self, name: str) -> Any:
        return self._unary(name).future(b"x", metadata=self._metadata)

    def send(self, name: str, *sent: bytes) -> Any:
        call: Any = self.channel.stream_unary(f"/Node/{name}")
        return call.future(iter(sent), metadata=self._metadata)

    def half_open(self, *sent: bytes) -> Any:
        """A call that sends no more than this, and does not end."""
        gone = threading.Event()

        def requests() -> Iterator[bytes]:
            yield from sent
            gone.wait(30)

        call: Any = self.channel.stream_unary("/Node/take")
        begun = call.future(requests(), metadata=self._metadata)
        begun.add_done_callback(lambda _: gone.set())
        return begun

    def refusal(self, name: str = "echo") -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as failed:
            self.ask(name)
        assert isinstance(failed.value, grpc.Call)
        return failed.value.code()

    def healthy(self) -> bool:
        stub: Any = health_pb2_grpc.HealthStub(self.channel)  # its types have no methods
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def watch(self) -> Any:
        stub: Any = health_pb2_grpc.HealthStub(self.channel)
        watching = stub.Watch(health_pb2.HealthCheckRequest(), metadata=self._metadata)
        next(watching)
        return watching

    def _unary(self, name: str) -> Any:
        return self.channel.unary_unary(f"/Node/{name}")

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return ((RUN_KEY, self.run),) if self.run else ()


@dataclass
class Served:
    """A node and its door, and callers of it."""

    node: Node
    door: Door
    stack: ExitStack

    def caller(self, run: str | None = None, tls: Tls | None = None) -> Caller:
        own = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
        return Caller(
            self.stack.enter_context(open_channel(self.node.address, tls, None, own)), run
        )


@contextmanager
def served(slots: Slots, tls: Tls | None = None, at: Door | None = None) -> Iterator[Served]:
    node = Node()
    door = at or Door(Guard(OURS if tls else None, None), slots, node.lease)
    server = grpc.server(Inline(), interceptors=[door])
    methods: dict[str, Any] = {
        **{
            name: grpc.stream_unary_rpc_method_handler(getattr(node, name))
            for name in ("take", "take_and_work")
        },
        **{
            name: grpc.unary_unary_rpc_method_handler(getattr(node, name))
            for name in ("echo", "work", "compute", "sleep", "ask_another", "reset")
        },
    }
    staying: Any = partial(node.watch)  # a method takes no attribute
    staying.experimental_non_blocking = True
    methods["watch"] = grpc.unary_stream_rpc_method_handler(staying)
    asked = dict.fromkeys(("ServerLive", "ServerReady", "ModelReady"), methods["echo"])  # fmt: skip
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("Node", methods),
            grpc.method_handlers_generic_handler(CLIENTS_SERVICE, asked),
        )
    )
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    here = "127.0.0.1:0"
    port = server.add_secure_port(here, server_credentials(tls)) if tls else None
    node.address = f"127.0.0.1:{port or server.add_insecure_port(here)}"
    server.start()
    with ExitStack() as stack:
        try:
            yield Served(node, door, stack)
        finally:
            node.go_on.set()
            server.stop(None).wait(30)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return issue_authority()


@pytest.mark.parametrize("sent", [(), (b"half",)])
def test_calls_that_send_nothing_or_half_leave_room(sent: tuple[bytes, ...]) -> None:
    with served(Slots(4, 4)) as here:
        attacker, caller = here.caller(), here.caller()
        calls = [attacker.half_open(*sent) for _ in range(4)]
        time.sleep(0.5)
        assert caller.ask() == b"x"
        until(lambda: any(call.done() for call in calls))
        assert {call.code() for call in calls if call.done()} == ENDED


def test_who_ceases_to_watch_while_another_is_told_locks_nobody_out() -> None:
    with served(Slots(4, 4)) as here:
        watch: Any = here.caller().channel.unary_stream("/Node/watch")
        first = watch(b"first", timeout=30)
        assert next(first) == b"first"
        second = watch(b"second", timeout=30)
        until(here.node.lock.locked)
        first.cancel()
        assert next(second) == b"second"
        until(lambda: here.node.ended)
        assert here.caller().ask() == b"x"


def test_who_works_is_not_ended_for_others_who_are_told_that_all_is_taken() -> None:
    with served(Slots(2, 2)) as here:
        at_work = [here.caller().begin("work") for _ in range(2)]
        until(lambda: len(here.node.working) == 2)
        time.sleep(0.5)
        assert here.caller().refusal() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert here.caller().healthy()
        here.node.go_on.set()
        assert [one.result() for one in at_work] == [b"x", b"x"]
        until(lambda: here.caller().ask() == b"x")


def test_a_certificate_of_another_role_takes_neither_slot_nor_lease(
    authority: Authority, tmp_path: Path
) -> None:
    edge, ue, orchestrator = (
        certified(tmp_path, name, authority) for name in ("edge", "ue", "orchestrator")
    )
    with served(Slots(2, 2), edge) as here:
        wrong, ours = here.caller("theirs", ue), here.caller("ours", orchestrator)
        calls = [wrong.half_open() for _ in range(50)]
        until(lambda: all(call.done() for call in calls))
        assert {call.code() for call in calls} == {grpc.StatusCode.PERMISSION_DENIED}
        assert ours.ask() == b"x"
        assert wrong.healthy()


def test_one_caller_has_no_more_than_his_share(authority: Authority, tmp_path: Path) -> None:
    names = ("edge", "orchestrator", "ue")
    edge, ours, other = (certified(tmp_path, name, authority) for name in names)
    with served(Slots(4, 2), edge) as here:
        here.door._guard = Guard(None, None)  # as on a data plane, which many share
        greedy = here.caller(tls=ours)
        at_work = [greedy.begin("work") for _ in range(2)]
        until(lambda: len(here.node.working) == 2)
        assert greedy.refusal() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert here.caller(tls=other).ask() == b"x"
        here.node.go_on.set()
        assert [one.result() for one in at_work] == [b"x", b"x"]


def test_a_call_is_ended_whose_caller_is_silent_for_too_long_and_a_watch_is_not() -> None:
    with served(Slots(4, 4, patience_s=0.3)) as here:
        caller = here.caller()
        silent, working = caller.half_open(b"half"), caller.begin("work")
        watching, sent = caller.watch(), caller.send("take_and_work", b"a", b"b")
        until(lambda: len(here.node.working) == 2)
        time.sleep(0.6)
        here.door.end_silent()
        until(silent.done)
        assert silent.code() in ENDED
        assert watching.is_active()
        here.node.go_on.set()
        assert (working.result(), sent.result()) == (b"x", b"ab")


def test_whether_a_model_is_there_is_asked_beside_all_that_is_at_work() -> None:
    with served(Slots(1, 1)) as here:
        caller = here.caller()
        at_work = caller.begin("work")
        until(lambda: here.node.working)
        assert caller.refusal() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for name in ("ServerLive", "ServerReady", "ModelReady"):
            asked: Any = caller.channel.unary_unary(f"/{CLIENTS_SERVICE}/{name}")
            assert asked(b"y", timeout=20) == b"y"
        here.node.go_on.set()
        at_work.result()


@pytest.mark.parametrize(
    ("name", "refused"),
    [("ue", False), ("ue-7", False), ("cloud", False), ("client", True), ("orchestrator", True)],
)
def test_the_port_of_the_link_is_for_nodes_alone(name: str, refused: bool) -> None:
    said = Guard(NODES, None).refusal("/splitbed.v1.Data/Frames", (), [name])
    assert (said is not None) == refused


def test_clients_that_are_handed_on_may_not_be_idle_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, int]] = []
    monkeypatch.setattr(grpc, "server", lambda *_, options, **__: asked.append(dict(options)))
    config = EdgeConfig(listen="127.0.0.1:1", control="127.0.0.1:2")
    for lease in (None, Lease(lambda: 0.0)):
        plane = Plane("unix:/tmp/socket", CLIENTS, {}, lease=lease)
        serve._server(config, plane, door_of(plane, config), 16)
    assert [one.get("grpc.max_connection_idle_ms") for one in asked] == [30_000, None]


@pytest.mark.parametrize("ended", [True, False])
def test_who_calls_over_a_link_may_be_silent_while_it_is_out(ended: bool) -> None:
    config = EdgeConfig(listen="127.0.0.1:1", control="127.0.0.1:2")
    at = door_of(Plane("127.0.0.1:1", NODES, {}, over_link=not ended), config)
    with served(Slots(1, 1), at=at) as here:
        silent, working = here.caller().half_open(b"half"), here.caller().begin("work")
        until(lambda: here.node.working and any(one.since_s for one in at._slots._calls))
        for one in at._slots._calls:
            one.since_s = one.since_s and one.since_s - 60
        here.door.end_silent()
        here.node.go_on.set()
        assert working.result() == b"x"
        if ended:
            until(silent.done)
        assert silent.done() == ended


def threads_taken(here: Served) -> None:
    """By calls that were given up."""
    for count in range(1, 3):
        work = here.caller().begin("work")
        until(lambda: len(here.node.working) == count)  # noqa: B023  called in this round
        work.cancel()
        until(lambda: not here.door._slots._calls)


def test_who_waits_for_a_thread_is_not_silent() -> None:
    with served(Slots(1, 1, patience_s=0.3)) as here:
        threads_taken(here)
        queued = here.caller().begin("echo")
        time.sleep(0.6)
        here.door.end_silent()
        assert here.caller().refusal() is grpc.StatusCode.RESOURCE_EXHAUSTED
        here.node.go_on.set()
        assert queued.result() == b"x"


def test_calls_that_were_given_up_before_a_thread_came_are_not_kept_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(all_slots, "_MOST_QUEUED", 3)
    with served(Slots(1, 1)) as here:
        threads_taken(here)
        for _ in range(3):
            given_up = here.caller().begin("echo")
            until(lambda: here.door._slots._calls)
            given_up.cancel()
            until(lambda: not here.door._slots._calls)
        assert here.caller().refusal() is grpc.StatusCode.RESOURCE_EXHAUSTED
        here.node.go_on.set()
        until(lambda: here.caller().begin("echo").exception() is None)


def test_a_call_that_fails_by_one_of_its_own_is_ended() -> None:
    with served(Slots(2, 2)) as here:
        assert here.caller().refusal("ask_another") is grpc.StatusCode.UNKNOWN
        assert here.caller().ask() == b"x"


def test_too_many_health_checks_are_not_told_of_a_limit_that_does_not_rule_them() -> None:
    with served(Slots(1, 1)) as here:
        here.door._checks = Slots(1, 0)
        with pytest.raises(grpc.RpcError, match="whether it is healthy"):
            here.caller().healthy()


@pytest.mark.parametrize("name", ["compute", "sleep"])
def test_work_ends_with_its_caller(name: str) -> None:
    with served(Slots(2, 2)) as here:
        begun = here.caller().begin(name)
        until(lambda: here.node.working)
        begun.cancel()
        until(lambda: here.node.ended)
        assert "nobody waits for it any more" in here.node.ended[0]


def test_a_new_run_ends_what_the_one_before_is_still_at() -> None:
    with served(Slots(4, 4)) as here:
        half = here.caller().half_open(b"half")
        computing = here.caller().begin("compute")
        until(lambda: here.node.working)
        assert here.caller().ask("reset") == b"x"
        until(lambda: half.done() and computing.done() and here.node.ended)
        assert {half.code(), computing.code()} == ENDED


def test_a_run_whose_call_is_open_keeps_the_lease_and_lets_go_when_it_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "SILENT_S", 0.2)
    with served(Slots(4, 4)) as here:
        first, second = here.caller("first"), here.caller("second")
        watching = first.watch()
        time.sleep(0.5)
        assert second.refusal() is grpc.StatusCode.FAILED_PRECONDITION
        assert here.caller().ask() == b"x"  # which names no run
        watching.cancel()
        until(lambda: second.begin("echo").exception() is None)
        assert first.refusal() is grpc.StatusCode.FAILED_PRECONDITION


def test_frames_keep_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "SILENT_S", 0.2)
    with served(Slots(4, 4)) as here:
        here.node.lease._frame_s = lambda: math.inf
        first, second = here.caller("first"), here.caller("second")
        first.ask()
        time.sleep(0.5)
        assert second.refusal() is grpc.StatusCode.FAILED_PRECONDITION
        here.node.lease.release()
        assert second.ask() == b"x"


def test_frames_alone_keep_no_lease_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "SILENT_S", 0.1)
    monkeypatch.setattr(leases, "FRAMES_S", 0.1)
    with served(Slots(4, 4)) as here:
        here.node.lease._frame_s = lambda: math.inf  # whoever can send some, does
        here.caller("first").ask()
        until(lambda: here.caller("second").begin("echo").exception() is None)


def test_a_frame_that_fails_keeps_no_lease() -> None:
    in_flight = InFlight()
    with pytest.raises(NodeError), in_flight.frame():
        raise NodeError("refused")
    assert in_flight.last_s == 0
    with in_flight.frame():
        pass
    assert in_flight.last_s > 0


def test_refusals_are_told_once_with_how_many_they_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doors, "SELDOM", Seldom())
    with served(Slots(1, 1)) as here:
        at_work = here.caller().begin("work")
        until(lambda: here.node.working)
        for _ in range(20):
            assert here.caller().refusal() is grpc.StatusCode.RESOURCE_EXHAUSTED
        here.node.go_on.set()
        at_work.result()
    assert capsys.readouterr().err.count("refused a call") == 1
