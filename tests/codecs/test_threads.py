"""Codecs whose matrix products are on one thread leave those of the program as they were."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from threadpoolctl import ThreadpoolController

from splitbed.codecs import codec_named
from splitbed.codecs.fitting import fit
from splitbed.codecs.klt.threads import one_thread
from splitbed.codecs.stage import Setting
from tests.codecs.coding import NAME, feature_map, info_of

BLAS = ThreadpoolController().select(user_api="blas")


def threads() -> list[int]:
    """NumPy's; SciPy brings a library of its own, which codecs do not call."""
    return [one["num_threads"] for one in BLAS.info() if "numpy" in one["filepath"]]


@pytest.fixture
def of_two() -> Iterator[list[int]]:
    with BLAS.limit(limits=2):
        yield threads()


def test_coding_leaves_the_program_its_threads(of_two: list[int]) -> None:
    array = feature_map(1, 4, 9, 7)
    tables = fit(codec_named("klt"), [info_of(array)], [{NAME: array}], Setting())
    coder = codec_named("klt").bind([info_of(array)], Setting(tables=tables))
    coder.decode(coder.encode({NAME: array}))
    assert threads() == of_two


def test_the_last_to_leave_gives_them_back(of_two: list[int]) -> None:
    assert 2 in of_two
    first, second = one_thread, one_thread
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(threads()) == {1}
    second.__exit__(None, None, None)
    assert threads() == of_two


NODE = """
import sys, threading
from threadpoolctl import ThreadpoolController
from splitbed.codecs.klt.threads import one_thread
from splitbed.node.config import EdgeConfig
from splitbed.node.running import run_node

def planes(host, stack):
    def count():
        with one_thread:
            print([one["num_threads"] for one in ThreadpoolController().info()])
    (thread := threading.Thread(target=count)).start()
    thread.join()
    sys.exit()

with one_thread:  # as where a program has coded before
    pass
run_node("edge", EdgeConfig(control="unix:x", listen="unix:y"), planes)
"""


def test_a_thread_of_a_node_multiplies_alone() -> None:
    # what OpenBLAS 0.3.31 says is what it does: a thread that asked for one had all processors
    done = subprocess.run([sys.executable, "-c", NODE], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == {1}
