"""Fitted codecs between real nodes: both ends have the tables, or no frame is sent."""

from collections.abc import Iterator

import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.calibration import calibrate
from orchestrator.testbed.model import Known
from splitbed.errors import NodeError
from tests.node.loopback import Splits, loopback_pair

CUT, CODEC = 2, "klt:50"


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with (
        pytest.MonkeyPatch.context() as patched,
        loopback_pair(folder := tmp_path_factory.mktemp("fitted")) as (pair, model),
    ):
        patched.setenv("SPLITBED_CACHE", str(folder / "cache"))
        made = Splits(pair, model)
        config = sweep_config({"model": str(folder / "small.onnx")})
        made.parts.known = calibrate(config, model, [(CUT, CODEC)]).known
        yield made


def test_a_frame_crosses_by_the_tables_that_both_ends_were_told(splits: Splits) -> None:
    splits.load(CUT, CODEC)
    frame = splits.run()
    assert 0 < frame.encoded_bytes < frame.intermediate_bytes / 2


def test_tables_that_are_absent_or_of_another_map_are_refused_by_name(splits: Splits) -> None:
    known = splits.parts.known
    ((key, table),) = known.tables.items()
    for tables, why in (({}, "was not fitted"), ({key: table[:-9]}, CODEC), ({key: b"x"}, CODEC)):
        splits.parts.known = Known(tables=tables)
        with pytest.raises(NodeError, match=f"cannot use {CODEC}: .*{why}"):
            splits.load(CUT, CODEC)
    splits.parts.known = Known(unfitted={key: "its values are NaN"})
    with pytest.raises(NodeError, match=f"cannot use {CODEC}: its values are NaN"):
        splits.load(CUT, CODEC)
    splits.parts.known = known
