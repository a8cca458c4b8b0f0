"""Tensors that are held in files, so that memory does not bound how many."""

import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import MachineError
from splitbed.tensor_files import TensorFiles
from splitbed.tensors import NUMPY_TYPES, Tensors

MEGABYTE = 1_000_000


def test_what_was_put_is_there_again_with_its_names_types_and_shapes(tmp_path: Path) -> None:
    given: Tensors = {
        name: np.zeros((2, 0, 3) if name == "INT8" else (2, 3), kind)
        for name, kind in NUMPY_TYPES.items()
    }
    given["file"] = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    given["a scalar"] = np.array(7)
    held = TensorFiles(tmp_path / "held")
    held.put(3, given)
    found = held[3]
    assert list(found) == list(given)
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_the_last_that_was_put_counts_and_nothing_is_left_when_it_is_cleared(
    tmp_path: Path,
) -> None:
    held = TensorFiles(tmp_path / "held")
    for value in (1.0, 2.0):
        held.put(0, {"y": np.array(value)})
    held.put(1, {})
    assert list(held) == [0, 1]
    assert held[0]["y"] == 2.0
    assert held[1] == {}
    held.clear()
    assert (len(held), 0 in held, [*(tmp_path / "held").iterdir()]) == (0, False, [])
    with pytest.raises(KeyError):
        held[0]


@pytest.mark.usefixtures("hurried")
def test_threads_that_read_at_once_each_read_a_whole_set(tmp_path: Path) -> None:
    held = TensorFiles(tmp_path / "held")

    def write(value: int) -> None:
        held.put(0, {"x": np.full(value % 7, value), "y": np.full((2, value % 3), value)})

    def read(_: int) -> set[int]:
        found = held[0]
        return {len(found["x"]) % 7, *(int(x) % 7 for x in found["x"].flat)} - {0}

    write(8)
    with ThreadPoolExecutor(6) as threads:
        writing = threads.map(write, range(500))
        assert all(len(one) <= 1 for one in threads.map(read, range(3000)))
        list(writing)


def test_many_take_no_more_memory_than_one(tmp_path: Path) -> None:
    held = TensorFiles(tmp_path / "held")
    tracemalloc.start()
    for number in range(50):
        held.put(number, {"y": np.full(MEGABYTE, number, np.uint8)})
    assert sum(int(one["y"][0]) for one in held.values()) == sum(range(50))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MEGABYTE


def test_a_folder_that_cannot_be_written_is_told_with_what_repairs_it(tmp_path: Path) -> None:
    (tmp_path / "held").write_text("a file")
    with pytest.raises(MachineError, match=r"cannot keep tensors in .*TMPDIR"):
        TensorFiles(tmp_path / "held").put(0, {"y": np.zeros(1)})


def test_whether_a_set_is_there_is_known_without_reading_it(tmp_path: Path) -> None:
    held = TensorFiles(tmp_path / "held")
    held.put(0, {"y": np.array(1.0)})
    (tmp_path / "held" / "0.tensors").write_bytes(b"not to be read")
    assert 0 in held
    assert 1 not in held


def test_a_file_that_was_cut_short_is_told_and_nothing_made_up_for_the_rest(tmp_path: Path) -> None:
    held = TensorFiles(tmp_path / "held")
    held.put(0, {"y": np.arange(8.0)})
    os.truncate(tmp_path / "held" / "0.tensors", 8)
    with pytest.raises(MachineError, match=r"0\.tensors: it is shorter than what was kept"):
        held[0]
