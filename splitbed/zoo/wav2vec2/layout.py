"""wav2vec 2.0 and HuBERT with a head of 29 labels, as data: sizes, and names of the weights.

Baevski et al. (arXiv 2006.11477) and Hsu et al. (arXiv 2106.07447), by the names of torchaudio's
``Wav2Vec2Model``. HuBERT, once trained, is the same network.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from splitbed.tasks.transcripts import LABELS
from splitbed.zoo.transformer import Shape, layer_shapes, linear_shapes, norm_shapes

RATE = 16_000
EXTRACTOR, PROJECTION = "feature_extractor.conv_layers", "encoder.feature_projection"
TRANSFORMER = "encoder.transformer"
POSITIONS = f"{TRANSFORMER}.pos_conv_embed.conv"
GAIN, DIRECTION = (f"{POSITIONS}.parametrizations.weight.original{at}" for at in (0, 1))
"""Of the weight normalisation of the convolution that tells positions."""


@dataclass(frozen=True)
class Layout:
    """A network of this kind.

    ``per_frame`` normalises every convolution over its channels, else the first alone is over time.
    ``norm_first`` has each layer normalise what it reads, else what it adds up to.
    """

    name: str
    width: int
    layers: int
    heads: int
    inner: int
    per_frame: bool
    norm_first: bool
    channels: int = 512
    positions: int = 128
    groups: int = 16
    kernels: Shape = (10, 3, 3, 3, 3, 2, 2)
    strides: Shape = (5, 2, 2, 2, 2, 2, 2)

    @property
    def shapes(self) -> dict[str, Shape]:
        """Every tensor of the state dict, in the network's order."""
        return dict(self._shapes())

    @property
    def parameters(self) -> int:
        """How many numbers training learns; clause 10.1.4 calls it numParam."""
        return sum(map(math.prod, self.shapes.values()))

    def frames(self, samples: int) -> int:
        """How many frames are made of so many samples: 49 a second, and one of the first 400."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples

    def _shapes(self) -> Iterator[tuple[str, Shape]]:
        width, wide = self.width, (self.width,)
        for at, kernel in enumerate(self.kernels):
            yield (
                f"{EXTRACTOR}.{at}.conv.weight",
                (self.channels, self.channels if at else 1, kernel),
            )
            if self.per_frame or at == 0:
                yield from norm_shapes(f"{EXTRACTOR}.{at}.layer_norm", self.channels)
        yield from norm_shapes(f"{PROJECTION}.layer_norm", self.channels)
        yield from linear_shapes(f"{PROJECTION}.projection", self.channels, width)
        yield GAIN, (1, 1, self.positions)
        yield DIRECTION, (width, width // self.groups, self.positions)
        yield f"{POSITIONS}.bias", wide
        yield from norm_shapes(f"{TRANSFORMER}.layer_norm", width)
        for at in range(self.layers):
            yield from layer_shapes(f"{TRANSFORMER}.layers.{at}", width, self.inner)
        yield from linear_shapes("aux", width, len(LABELS))


BASE = Layout("wav2vec2-base", 768, 12, 12, 3072, per_frame=False, norm_first=False)
"""torchaudio's WAV2VEC2_ASR_BASE_960H."""
LARGE = Layout("hubert-large", 1024, 24, 16, 4096, per_frame=True, norm_first=True)
"""torchaudio's HUBERT_ASR_LARGE."""
SMALL = Layout(
    "speechnet", 160, 4, 4, 512, per_frame=False, norm_first=True, channels=48, positions=32,
    groups=8,
)  # fmt: skip
"""SpeechNet, Splitbed's own."""
LAYOUTS = {layout.name: layout for layout in (BASE, LARGE, SMALL)}
