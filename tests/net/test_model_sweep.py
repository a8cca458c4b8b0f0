"""Models in transit over a link that the kernel shapes, as a user has them measured."""

import threading
import time
from pathlib import Path

import pytest

from netem.spec import symmetric
from netem.wire import wire_bytes, wire_ms
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.testbed.loading.loader import Loader
from orchestrator.testbed.site import prepared
from orchestrator.testbed.testbed import testbed as brought_up
from orchestrator.transit.asked import model_sweep
from orchestrator.transit.run import resumed_sweep, run_model_sweep
from splitbed.flow import Span
from tests.graphs import models
from tests.net.counted import carried, since
from tests.net.sweeps import Place
from tests.node.test_device_model import retrained
from tests.shared_machine import blames_the_machine, until

pytestmark = pytest.mark.usefixtures("backend")

CUT_S = 10.0


def test_what_came_over_the_link_is_what_was_encoded_and_is_gone_on_with(tmp_path: Path) -> None:
    file = models.save(models.chain(), tmp_path / "chain.onnx")
    published = [f"tests.orchestrator.transit.as_published:{kind}" for kind in ("Coder", "Unable")]
    asked = {"model": str(file), "coder_name": ",".join((*published, "int8+zstd")), "bw": "20"}
    sweep = model_sweep(
        asked | {"out_dir": (out := tmp_path / "out"), "runs": 2, "accuracy_frames": 3}
    )
    coder, unable, row = run_model_sweep(sweep, lambda _: None).rows
    for one in (row, coder):
        assert one.ue_perf == one.rec_perf
        told = (one.link_ms, one.decode_tail_ms, one.open_ms, one.first_inference_ms)
        assert all(told)
        assert one.startup_ms == pytest.approx(sum(part or 0 for part in told))  # medians of two
        assert (one.startup_low_ms or 0) <= (one.startup_ms or 0) <= (one.startup_high_ms or 0)
        assert (one.link_ms or 0) >= 0.98 * (one.link_bound_ms or 0)
        assert one.valid or blames_the_machine(one.fault)
    assert (row.model_peak_bytes or 0) > 0
    # a class of the published scripts decodes on the UE: the bitstream that was judged here
    assert coder.ue_perf == 1
    assert (coder.came_bytes or 0) > (coder.rec_size or 0) == coder.anc_size
    assert (coder.decode_ms or 0) > 0 < (coder.decoder_peak_bytes or 0)
    assert "Unable failed to decode: OSError: not here" in unable.fault
    *before, _ = (out / "cells.jsonl").read_bytes().splitlines(keepends=True)
    (out / "cells.jsonl").write_bytes(kept := b"".join(before))
    *_, again = run_model_sweep(resumed_sweep(out), lambda _: None, out).rows
    assert (again.deliveries, again.rec_sha256) == (2, row.rec_sha256)
    assert (out / "cells.jsonl").read_bytes().startswith(kept)


def test_parts_travel_in_a_coder_and_the_device_anchor_may_be_a_model_of_its_own(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    device = retrained(tmp_path / "retrained.onnx")
    asked = ("--split", "2:4", "--bw", "20", "--runs", "3", "--part-coder", "int8+zstd")
    place.sweep(*asked, "--device-model", str(device))
    rows = {row["split"]: row for row in place.rows()}
    for split in ("2:4", "6:0"):
        coded, part1 = (int(rows[split][f"part1_{which}"]) for which in ("coded_bytes", "bytes"))
        assert 0 < coded < part1
        least_ms = wire_ms(coded, symmetric(rate_mbit=20).downlink)
        assert float(rows[split]["part1_delivery_ms"]) >= least_ms
    network, coded_split, anchor = (float(rows[at]["accuracy"]) for at in ("0:6", "2:4", "6:0"))
    assert network == 1
    assert 1 > coded_split > 0.99 > anchor


def test_a_link_that_is_cut_for_a_while_costs_that_and_nothing_else(tmp_path: Path) -> None:
    link, cut = symmetric(rate_mbit=20), symmetric(rate_mbit=20, loss_pct=100)
    config = sweep_config({"model": "shapesnet", "bw": 20})
    with prepared(config) as ready, brought_up(ready.site, ready.local.model, [[link]]) as bed:
        whole = "ue", Span(0, bed.model.graph.n)
        loader = Loader(bed.pair, bed.model, {"ue": 1, "edge": 1})
        loader.coder = "dummy"
        (coded,) = loader.load([whole], 0, fetched=[whole])[whole].coded
        before = carried(bed)

        def interrupt() -> None:
            until(lambda: since(before, carried(bed))[0][1] > coded.bytes / 4)
            bed.shape([cut])
            time.sleep(CUT_S)
            bed.shape([link])

        (interrupting := threading.Thread(target=interrupt, daemon=True)).start()
        received = loader.deliver(whole, 120)
        interrupting.join()
        (_, down) = since(before, carried(bed))[0]
    assert received.decoded.bytes == received.bytes
    assert received.link_ms >= CUT_S * 1e3  # there was more to come than its queue holds
    assert down >= wire_bytes(coded.bytes)
