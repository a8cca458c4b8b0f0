"""The head of a Ray, watched: Ray itself ends whoever asked it, a minute after its head is gone."""

import socket
import time

import grpc

CLIENT = "ray://"
_CONNECT_S = 5.0
_NEVER_MS = 2**31 - 1
_HEARD_S = 0.5
"""gRPC's thread that watches a connection looks each 0.2 s whether anybody still asks, and fails
where it was closed before."""


class Head:
    """Whether who answered at an address has answered ever since, by a connection kept to it."""

    def __init__(self, address: str) -> None:
        self.reached = False
        self.lost = False
        self._channel = grpc.insecure_channel(
            address.removeprefix(CLIENT), options=[("grpc.client_idle_timeout_ms", _NEVER_MS)]
        )
        self._channel.subscribe(self._told, try_to_connect=True)

    def _told(self, state: grpc.ChannelConnectivity) -> None:
        if state is grpc.ChannelConnectivity.READY:
            self.reached = True
        elif self.reached:
            self.lost = True

    def close(self) -> None:
        """Let go of the connection."""
        self._channel.unsubscribe(self._told)
        time.sleep(_HEARD_S)
        self._channel.close()


def answering(address: str) -> None:
    """Raise OSError where nobody listens."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
