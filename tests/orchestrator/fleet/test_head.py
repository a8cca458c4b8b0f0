"""A head that went is noticed at once, also where another has come in its place."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from orchestrator.fleet.head import Head
from tests.shared_machine import until


def served(port: int = 0) -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


def test_a_head_that_was_restarted_is_another() -> None:
    first, port = served()
    head = Head(f"127.0.0.1:{port}")
    until(lambda: head.reached)
    assert not head.lost
    first.stop(0).wait()
    second, _ = served(port)
    until(lambda: head.lost)
    head.close()
    second.stop(0).wait()


def test_a_head_that_was_never_reached_is_not_lost() -> None:
    server, port = served()
    server.stop(0).wait()
    head = Head(f"127.0.0.1:{port}")
    head.close()
    assert not head.lost
