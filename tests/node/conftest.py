"""Pairs share a fork server, which each would start for itself."""

from tests.fork_server import one_fork_server

__all__ = ["one_fork_server"]
