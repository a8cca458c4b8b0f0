"""NNC's tensor coding of maps, by the library of the model coder of that name."""

import numpy as np
import pytest

from splitbed.errors import NodeError, UsageError
from tests.codecs.coding import NAME, coded, coder_of, feature_map

pytest.importorskip("nncodec", reason="nncodec is not installed: make nnc")


def test_a_value_is_wrong_by_a_step_or_so_and_a_coarser_one_takes_fewer_bytes() -> None:
    array = feature_map(1, 16, 24, 32)
    sizes = []
    for qp, step in ((-14, 0.09375), (-8, 0.25), (0, 1)):
        assert np.abs(coded(f"nnc:{qp}", array) - array).max() <= 1.5 * step * 1.01
        sizes.append(coder_of(f"nnc:{qp}", array).encode({NAME: array})[NAME].nbytes)
    assert sizes == sorted(sizes, reverse=True)


def test_channels_of_zeros_cost_next_to_nothing() -> None:
    array = feature_map(1, 64, 24, 32)
    half = array.copy()
    half[:, 32:] = 0
    whole, few = (coder_of("nnc", one).encode({NAME: one})[NAME].nbytes for one in (array, half))
    assert few < 0.6 * whole
    assert not coded("nnc", half)[:, 32:].any()


def test_maps_of_any_rank_come_back_in_their_shape() -> None:
    for shape in ((5,), (3, 7), (1, 19, 32), (2, 3, 4, 5), (1, 9, 7, 4)):
        array = np.random.default_rng(0).standard_normal(shape, np.float32)
        got = coded("nnc", array, channels_last=True)
        assert got.shape == shape
        assert np.abs(got - array).max() <= 1.5 * 0.25 * 1.01


def test_what_is_no_number_is_named() -> None:
    array = feature_map(1, 2, 3, 4)
    array[0, 0, 0, 0] = np.nan
    with pytest.raises(NodeError, match="1 of its 24 values are NaN"):
        coder_of("nnc", np.zeros_like(array)).encode({NAME: array})
    with pytest.raises(UsageError, match="-60 to 24, not 25"):
        coder_of("nnc:25", np.zeros_like(array))
