"""ResNet18 and MobileNetV2, small and trained: to classify the emblems of `splitbed.media.emblems`.

Layers, names and order are those of the large ones, with fewer channels and smaller pictures.
``scripts/train-emblems`` made the weights.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from splitbed.media.emblems import EMBLEMS, SIDE
from splitbed.zoo import checkpoints
from splitbed.zoo.classifiers.model import to_onnx
from splitbed.zoo.classifiers.networks import Row, learnt, mobilenet_v2, resnet18

SEED = 1
"""Of the training that made the weights."""
ROWS: Mapping[str, Callable[[], tuple[Row, ...]]] = {
    "resnet18": lambda: tuple(resnet18(len(EMBLEMS), 0.25)),
    "mobilenet_v2": lambda: tuple(mobilenet_v2(len(EMBLEMS), 0.35)),
}


def trained(network: str) -> Path:
    """The weights of a network."""
    return Path(__file__).with_name(f"small-{network}.safetensors")


def build(network: str, weights: Path | None = None) -> tuple[bytes, str]:
    """The model file, and a line that says which weights it holds.

    That line, which the file holds too, is ``trained on emblems (seed 1), sha256:…``, or
    ``FILE sha256:…`` of ``weights``: a .safetensors, .npz or .pt file of the same names.

    Raises:
        UsageError: the file cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pt`` file, and torch is not installed.
    """
    rows, own = ROWS[network](), trained(network)
    held, origin = checkpoints.load(weights or own, learnt(rows))
    if weights is None:
        origin = checkpoints.trained_on("emblems", SEED, own)
    return to_onnx(f"small-{network}", rows, held, origin, SIDE).SerializeToString(), origin
