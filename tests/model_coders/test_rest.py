"""What of a bitstream is left for whoever has some of its tensors already."""

import io
from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import NodeError
from splitbed.model_coders.decoder import Reader
from splitbed.model_coders.rebuilding import Rebuilding
from splitbed.model_coders.rest import write_rest
from splitbed.model_data import State, model_of, write_model
from splitbed.model_data.digest import by_hash
from tests.model_coders.coding import STATE, coded, cut, decoded, weights


def rest(stream: bytes, have: State) -> bytes:
    left = io.BytesIO()
    write_rest(io.BytesIO(stream), by_hash(have), left)
    return left.getvalue()


def rebuilt(stream: bytes, have: State, size: int = 100) -> bytes:
    file = io.BytesIO()
    rebuilding = Rebuilding(file, held=by_hash(have))
    for piece in cut(stream, size):
        rebuilding.feed(piece)
    rebuilding.finish()
    return file.getvalue()


@pytest.mark.parametrize("coder", ["dummy", "int8+zstd", "prune:30+int4"])
@pytest.mark.parametrize(
    "names", [[*STATE], ["conv.weight"], ["conv.bias", "half", "empty"], ["index", "one"], []]
)
def test_with_what_is_there_it_makes_the_file_that_all_of_it_makes(
    coder: str, names: list[str], tmp_path: Path
) -> None:
    stream = coded(coder)
    whole = decoded([stream])
    write_model(whole, path := tmp_path / "whole.safetensors")
    have = {name: whole.state[name] for name in names}
    left = rest(stream, have)
    assert rebuilt(left, have) == path.read_bytes()
    assert len(left) <= len(stream)


def test_what_does_not_come_takes_no_bytes() -> None:
    large = {**STATE, "large": weights(300, 300)}
    stream = coded("dummy", large)
    left = rest(stream, {"large": large["large"]})
    assert len(left) == pytest.approx(len(stream) - 4 * 300 * 300, abs=100)
    assert rest(stream, {}) == stream


def test_a_tensor_of_other_values_or_another_name_comes() -> None:
    stream = coded("dummy")
    other = np.array(STATE["conv.weight"])
    other[0] += 1
    assert rest(stream, {"conv.weight": other}) == stream
    assert rest(stream, {"conv1.weight": STATE["conv.weight"]}) == stream


def test_what_leaves_out_a_tensor_that_is_not_here_is_refused() -> None:
    left = rest(coded("int8"), decoded([coded("int8")]).state)
    with pytest.raises(NodeError, match=r"leaves out \S+, which is not here"):
        rebuilt(left, {"conv.weight": STATE["conv.weight"]})
    with pytest.raises(NodeError, match="ask for all of it"):
        [*Reader().feed(left)]


def test_a_stream_that_calls_another_tensor_by_a_hash_is_refused() -> None:
    """One that is here, of another shape: nothing is written where it does not fit."""
    twins = {"a": weights(4, 4), "b": weights(2, 2)}
    stream = coded("dummy", twins)
    left = rest(stream, {"a": twins["a"]})
    (a,), (b,) = by_hash({"a": twins["a"]}), by_hash({"b": twins["b"]})
    held = by_hash(twins)
    swapped = {a: held[b], b: held[b]}
    file = io.BytesIO()
    with pytest.raises(NodeError, match="leaves out a"):
        Rebuilding(file, held=swapped).feed(left)


def test_a_model_of_other_layers_has_what_they_share(tmp_path: Path) -> None:
    first = {"conv1": weights(4, 9), "conv2": weights(8, 36)}
    more = {**first, "conv3": weights(8, 72, seed=3)}
    here = decoded([coded("int8+zstd", first)]).state
    stream = coded("int8+zstd", more)
    left = rest(stream, here)
    write_model(decoded([stream]), path := tmp_path / "more.safetensors")
    assert rebuilt(left, here) == path.read_bytes()
    assert len(left) < 0.8 * len(stream)
    assert model_of(more).nbytes == path.stat().st_size
