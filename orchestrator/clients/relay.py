"""A TCP port of this machine whose connections go on to a Unix socket.

A UE that runs here is in a network namespace of its own, which nobody reaches; a socket on disk is
in none. What is handed on crosses no link, and is not looked at.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from splitbed.errors import MachineError
from splitbed.security.addresses import host_and_port

MOST_CONNECTIONS = 64
_PIECE_BYTES = 256 << 10


@contextmanager
def relayed(address: str, to: Path) -> Iterator[None]:
    """Hand whoever connects to `address`, IP:PORT, on to the socket `to`, while inside.

    Raises UsageError for what is no such address, MachineError for one that is taken.
    """
    host, port = host_and_port(address)
    loop = asyncio.new_event_loop()
    try:
        server = loop.run_until_complete(asyncio.start_server(_Relay(to).take, host, port))
    except OSError as error:
        loop.close()
        raise MachineError(
            f"cannot listen on {address}: {error.strerror}; `ss -ltnp 'sport = :{port}'` names "
            "who has that port, or choose another"
        ) from None
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


class _Relay:
    """Counts those that it hands on, so that they take no more than so many descriptors."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self._open = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MOST_CONNECTIONS:
            writer.close()
            return
        self._open += 1
        try:
            with suppress(OSError):  # either end may go at any time, and sees the other go
                far_reader, far_writer = await asyncio.open_unix_connection(self._to)
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            writer.close()
            self._open -= 1


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes until it ends, and then that it has."""
    try:
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()
