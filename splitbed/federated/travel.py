"""How a state crosses a link: as the bitstream of a model coder (:mod:`splitbed.model_coders`)."""

from splitbed.errors import NodeError
from splitbed.federated.classifier import State
from splitbed.model_coders import coder_named
from splitbed.model_coders.decoder import rebuilt
from splitbed.model_coders.encoder import encode
from splitbed.model_data.safetensors import model_of


def packed(state: State, coder: str) -> bytes:
    """The bitstream.

    Raises:
        UsageError: the coder cannot take a tensor.
        NodeError: it cannot encode what is in one, as NaN.
        MachineError: its library is not here.
    """
    return b"".join(encode(model_of(state), coder_named(coder)))


def packed_file(state: State) -> bytes:
    """As a .safetensors file."""
    return b"".join(model_of(state).file())


def unpacked(bitstream: bytes, like: State | None = None) -> State:
    """The state; NodeError where it is damaged, or has other tensors than ``like``."""
    state = rebuilt([bitstream]).state
    if like is not None and _shapes(state) != _shapes(like):
        raise NodeError("it has other tensors than the model")
    return state


def _shapes(state: State) -> dict[str, tuple[object, ...]]:
    return {name: (array.dtype, array.shape) for name, array in state.items()}
