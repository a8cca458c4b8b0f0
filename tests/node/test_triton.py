"""A client of any server, through a port of this machine, to a node that none leads to."""

import socket
from pathlib import Path

import numpy as np
import pytest

from orchestrator.clients.relay import relayed
from splitbed.errors import MachineError
from splitbed.flow import Span
from splitbed.wire import max_abs_diff
from tests.node.loopback import SIDE, Splits, free_port, loopback_pair
from tests.triton import asked_by_triton


def test_tritonclient_gets_what_the_whole_model_makes_of_its_tensors(tmp_path: Path) -> None:
    array = np.random.default_rng(1).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
    address = f"127.0.0.1:{free_port()}"
    with loopback_pair(tmp_path, clients=True) as both:
        (splits := Splits(*both)).load(3)
        splits.parts.assign(splits.last, clients=True)
        with relayed(address, Path(splits.pair.ue.infer.removeprefix("unix:"))):
            outputs = asked_by_triton(address, "small", array, tmp_path)
        whole = splits.model.part(Span(0, splits.model.graph.n))
        with splits.model.session(whole, 1) as session:
            assert max_abs_diff(outputs, session.run({"image": array})) < 1e-3


def test_a_port_that_is_taken_is_told_with_how_to_find_who_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = pytest.raises(MachineError, match=f"cannot listen on {address}.*names who")
        with refused, relayed(address, tmp_path / "nobody.sock"):
            pass


def test_who_is_handed_on_to_nobody_is_hung_up_on(tmp_path: Path) -> None:
    address = ("127.0.0.1", free_port())
    with (
        relayed(f"{address[0]}:{address[1]}", tmp_path / "nobody.sock"),
        socket.create_connection(address, timeout=5) as peer,
    ):
        assert peer.recv(1) == b""
