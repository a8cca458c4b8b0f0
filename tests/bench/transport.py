"""The data plane's stream against a plain TCP socket, in turns over the same shaped link.

    ue namespace: this module as a process              edge namespace
      EdgeClient ──────── gRPC stream ────────▶ edge-node
      socket ──────────── raw bytes ──────────▶ a thread of the benchmark

Both are warm and long-lived, and both end when the other side's answer has come back.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc

from netem.backends import AUTO, open_link
from netem.link import Link
from netem.spec import symmetric
from tests.bench.figure import Bar, Figure, median
from ue_node.edge_client import EdgeClient

MESSAGE_BYTES = 1_440_000
"""What crosses SSD300's split_node_3."""

_PORT, _RAW_PORT = 50051, 50052
_PAIRS = {5.0: 5, 20.0: 7, 100.0: 15}
_DELAYS_MS = (0.0, 10.0)
_START_S = 30


def figures(folder: Path) -> Iterator[Figure]:
    """Time of a message over the time of as many raw bytes, at each rate and delay."""
    with open_link(AUTO, folder) as link:
        link.shape(symmetric(rate_mbit=100))
        with _edge_node(link, folder), _raw_sink(link), _sender(link) as sender:
            for rate_mbit, pairs in _PAIRS.items():
                for delay_ms in _DELAYS_MS:
                    link.shape(symmetric(rate_mbit=rate_mbit, delay_ms=delay_ms))
                    ratios = [a / b for a, b in _ask(sender, pairs)]
                    what = f"message / raw TCP at {rate_mbit:g} Mbit/s, {delay_ms:g} ms"
                    yield median(what, "", ratios, Bar(most=1.02))


@contextmanager
def _edge_node(link: Link, folder: Path) -> Iterator[None]:
    listen, control = f"{link.edge_address}:{_PORT}", f"unix:{folder}/edge.sock"
    argv = [sys.executable, "-m", "edge_node", "serve", "--listen", listen, "--control", control]
    with (
        _running(link.edge.command([*argv, "--insecure"])),
        grpc.insecure_channel(control) as channel,
    ):
        grpc.channel_ready_future(channel).result(timeout=_START_S)
        yield


@contextmanager
def _sender(link: Link) -> "Iterator[subprocess.Popen[str]]":
    argv = [sys.executable, "-m", __name__, link.edge_address]
    with _running(link.ue.command(argv)) as process:
        yield process


@contextmanager
def _running(argv: Sequence[str]) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _ask(sender: "subprocess.Popen[str]", pairs: int) -> list[tuple[float, float]]:
    """Seconds of message and raw bytes, for each pair."""
    assert sender.stdin
    assert sender.stdout
    sender.stdin.write(f"{pairs}\n")
    sender.stdin.flush()
    return [(a, b) for a, b in json.loads(sender.stdout.readline())]


@contextmanager
def _raw_sink(link: Link) -> Iterator[None]:
    """Answers every MESSAGE_BYTES of its one connection with a byte."""
    listener = link.edge.open_socket()
    listener.bind((link.edge_address, _RAW_PORT))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        buffer = bytearray(1 << 20)
        with connection:
            missing = MESSAGE_BYTES
            while count := connection.recv_into(buffer, min(missing, len(buffer))):
                missing = missing - count or MESSAGE_BYTES
                if missing == MESSAGE_BYTES:
                    connection.sendall(b".")

    with listener:
        threading.Thread(target=serve, daemon=True).start()
        yield


def main() -> None:
    """In the UE's namespace: for each number on stdin, so many pairs of seconds on stdout."""
    edge_address = sys.argv[1]
    client = EdgeClient(f"{edge_address}:{_PORT}")
    payload = bytes(MESSAGE_BYTES)
    with socket.create_connection((edge_address, _RAW_PORT)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def message() -> float:
            start = time.perf_counter()
            client.warm(MESSAGE_BYTES)
            return time.perf_counter() - start

        def plain() -> float:
            start = time.perf_counter()
            raw.sendall(payload)
            raw.recv(1)
            return time.perf_counter() - start

        for line in sys.stdin:
            message(), plain()  # opens both congestion windows
            pairs = [(message(), plain()) for _ in range(int(line))]
            sys.stdout.write(json.dumps(pairs) + "\n")
            sys.stdout.flush()
    client.close()


if __name__ == "__main__":
    main()
