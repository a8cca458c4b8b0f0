"""ESPCN x2 (Shi et al., CVPR 2016): scenario 10.5's super-resolution of luma.

Three convolutions at the low resolution, then the shuffle of :mod:`splitbed.zoo.upscaler`. Between
them is a ReLU, as in public models; the paper has tanh. ``scripts/train-espcn`` made the weights.
"""

from pathlib import Path

from splitbed.zoo import checkpoints
from splitbed.zoo.layers import Conv
from splitbed.zoo.onnx_writer import initializers
from splitbed.zoo.upscaler import LUMA, SCALE, WRITER, doubler

TRAINED = Path(__file__).with_name("espcn.safetensors")
SEED = 1
"""Of the training that made ``TRAINED``."""
LAYERS = (
    Conv("conv1", "/conv1/Conv", LUMA, 1, 64, 5, 1, 2, relu="/conv1/Relu"),
    Conv("conv2", "/conv2/Conv", "/conv1/Relu", 64, 32, 3, 1, 1, relu="/conv2/Relu"),
    Conv("conv3", "/conv3/Conv", "/conv2/Relu", 32, SCALE**2, 3, 1, 1),
)


def build(weights: Path | None = None) -> tuple[bytes, str]:
    """The model file, and a line that says which weights it holds.

    That line, which the file holds too, is ``trained on shapes (seed 1), sha256:…``, or
    ``FILE sha256:…`` of ``weights``: a .safetensors, .npz or .pt file of the same names.

    Raises:
        UsageError: the file cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pt`` file, and torch is not installed.
    """
    held, origin = checkpoints.load(weights or TRAINED, LAYERS)
    if weights is None:
        origin = checkpoints.trained_on("shapes", SEED, TRAINED)
    nodes = [node for row in LAYERS for node in WRITER.conv(row)]
    model = doubler("espcn", nodes, initializers(held, held), origin)
    return model.SerializeToString(), origin
