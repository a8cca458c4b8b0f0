"""What is said of tensors that are compared."""

import numpy as np

from splitbed.tensors import Tensors
from splitbed.wire import max_abs_diff


def test_the_largest_difference_is_over_all_tensors() -> None:
    left: Tensors = {"a": np.array([1, 2], np.float32), "b": np.array([5], np.int64)}
    right: Tensors = {"a": np.array([1, 2.5], np.float32), "b": np.array([2], np.int64)}
    assert max_abs_diff(left, right) == 3
    assert max_abs_diff(left, left) == 0


def test_a_difference_that_no_number_tells_is_infinite() -> None:
    zero: Tensors = {"a": np.array([0], np.float32)}
    assert max_abs_diff(zero, {"a": np.array([np.nan], np.float32)}) == np.inf
    assert max_abs_diff(zero, {"a": np.array([[0]], np.float32)}) == np.inf
    assert max_abs_diff(zero, {"b": np.array([0], np.float32)}) == np.inf
