"""RetinaNet's weights from a torchvision state dict.

torchvision loads its published weights and then sets batch norm's epsilon to 0 (``overwrite_eps``),
and so does whoever trains on from them, as frozen batch norm learns nothing. A state dict that
counts batches (``num_batches_tracked``) was trained with batch norm that is not frozen, whose
epsilon is PyTorch's 1e-5.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from splitbed.zoo import checkpoints
from splitbed.zoo.layers import Conv, Weights


def load(path: Path, layers: Sequence[Conv]) -> tuple[Weights, str]:
    """The checkpoint's weights with batch norm folded in, and a line that says what they are.

    Names are torchvision's, those before version 0.13 too.

    Raises:
        UsageError: the file cannot be read or does not fit; every misfit is named.
        MachineError: a ``.pth`` file, and torch is not installed.
    """
    return checkpoints.load(path, layers, rename=renamed, frozen_epsilon=0.0)


def renamed(name: str) -> str:
    """The name that a tensor has in torchvision since version 0.13."""
    name = re.sub(r"(inner|layer)_blocks\.(\d)\.(weight|bias)$", r"\1_blocks.\2.0.\3", name)
    found = re.search(r"_head\.conv\.([0246])\.(weight|bias)$", name)
    if not found:
        return name
    # convolutions alternated with ReLUs
    return f"{name[: found.start()]}_head.conv.{int(found[1]) // 2}.0.{found[2]}"
