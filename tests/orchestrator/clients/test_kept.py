"""Pairs that are kept up, on loopback: who is let in when, and what is left where a node dies."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest

import splitbed
from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.clients import serve
from orchestrator.clients.kept import Kept, KeptRecord, the_cell
from orchestrator.clients.loadgen import run
from orchestrator.clients.loadgen.asked import LoadgenAsked
from orchestrator.measure.conditions import conditions
from orchestrator.measure.engine import Engine
from orchestrator.measure.watcher import Watcher
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.testbed import Testbed as Bed
from splitbed.errors import UsageError
from splitbed.v1 import inference_pb2 as oip
from splitbed.v1 import nodes_pb2
from splitbed.v1.inference_pb2_grpc import GRPCInferenceServiceStub
from tests.node.loopback import SIDE, free_port, loopback_link, loopback_pair
from tests.shared_machine import HANG_S

NOBODY = "no split is here for clients"
ASKED = {"split": "3:3", "bw": "20", "delivery": False, "warmup": 0, "in_flight": 2}


def config_of(**own: object) -> SweepConfig:
    return sweep_config({"model": "small"} | ASKED | own)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """As it is before the first frame; what keeps one up gives this one."""
    (folder := tmp_path / "run").mkdir()
    config = config_of()
    with loopback_pair(tmp_path, clients=True) as (pair, model):
        bed = Bed(model, loopback_link(), pair, Interruption())
        engine, cell = (
            Engine(config, bed, RunFolder(folder), Watcher()),
            the_cell(config, model, plan_cells(config, model)),
        )
        engine.parts.load(cell.configuration)
        engine.parts.assign(cell.configuration)
        asked = cell.configuration
        record = KeptRecord(
            asked=config.model_dump(mode="json"),
            split=asked.split,
            split_name=asked.split_name,
            codec=asked.codecs,
            link=cell.link,
            model=model.facts,
            conditions=conditions(pair, "none"),
        )
        made = Kept(engine, cell, record)

        @contextmanager
        def up(*_: object, **__: object) -> Iterator[Kept]:
            yield made

        for command in (serve, run):
            monkeypatch.setattr(command, "kept_up", up)
        yield made


def test_the_link_is_proved_again_without_clients_and_those_under_way_are_answered(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, proving = f"127.0.0.1:{free_port()}", list[tuple[int | None, str]]()
    request = oip.ModelInferRequest(model_name="small")
    request.inputs.add(name="image", datatype="FP32", shape=(1, 3, SIDE, SIDE))
    request.raw_input_contents.append(np.ones((1, 3, SIDE, SIDE), np.float32).tobytes())

    def ask() -> str:
        """Ask on, until it is refused: why it was."""
        with grpc.insecure_channel(address) as channel:
            client: Any = GRPCInferenceServiceStub(channel)
            try:
                while client.ModelInfer(request, timeout=HANG_S).outputs:
                    answered.set()
            except grpc.RpcError as error:
                return str(error)
        return ""

    def prove(*_: object) -> nodes_pb2.LinkProof:
        proving.append((kept.engine.bed.pair.nodes["ue"].frames(), ask()))
        return nodes_pb2.LinkProof()

    monkeypatch.setattr("orchestrator.testbed.nodes.proofs.prove", prove)
    with ThreadPoolExecutor(4) as threads:
        asking, answered = list[Any](), Event()
        with splitbed.serve(
            "small", split="3:3", bw=20, infer=address, in_flight=2, delivery=False
        ) as pair:
            assert (pair.model, pair.address) == ("small", address)
            asking.extend(threads.submit(ask) for _ in range(4))
            assert answered.wait(HANG_S)
            pair.wait(0.1)
        refused = [one.result(HANG_S) for one in asking]
    assert pair.verdict.valid
    [(under_way, why)] = proving
    assert under_way == 0
    assert NOBODY in why
    assert all("clients" in one for one in refused), refused


def test_loadgen_keeps_what_it_measured_until_a_node_died(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlperf_loadgen", reason="needs LoadGen: pip install 'splitbed[loadgen]'")
    pair, frames = kept.engine.bed.pair, iter(range(1000))
    run_next = pair.ways.run_next

    def dying(*asked: Any) -> nodes_pb2.FrameRecord:
        if next(frames) == 5:
            pair.nodes["edge"].kill()
        return run_next(*asked)

    monkeypatch.setattr(pair.ways, "run_next", dying)
    outcome = run.run(config_of(in_flight=1), LoadgenAsked(duration_s=600), Watcher())
    written = json.loads((outcome.folder / "loadgen.json").read_text())
    assert (written["verdict"], written["samples"]) == ("INVALID", 5)
    assert "the edge node died" in written["reasons"][0]
    for file in ("samples.jsonl", "queries.jsonl"):
        assert len((outcome.folder / file).read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("where", "reached"),
    [
        ("192.0.2.9:8001", "192.0.2.9:8001"),
        ("127.0.0.1:8001", "127.0.0.1:8001"),
        ("0.0.0.0:8001", "192.0.2.10:8001"),
        ("[::]:8001", "192.0.2.10:8001"),
        ("[2001:db8::1]:8001", "[2001:db8::1]:8001"),
        ("unix:/run/ue.sock", "unix:/run/ue.sock"),
    ],
)
def test_a_ue_is_reached_where_it_listens(where: str, reached: str) -> None:
    assert serve.reached_at(where, "192.0.2.10:50052") == reached


@pytest.mark.parametrize("option", ["codec", "input_codec"])
def test_a_codec_that_knows_the_frame_before_serves_nobody(option: str) -> None:
    with pytest.raises(UsageError, match="what clients send is no sequence"):
        serve.served(config_of(**{option: "avc-inter"}), None, Watcher()).__enter__()
