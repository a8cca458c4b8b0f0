"""What a video call comes to in bit rate and quality, computed here, without a link (clause 10.5).

    UE-A: source, halve, encode ─▲─ network: decode, double, encode ─▼─ UE-B: decode

Its anchors: UE-B doubles what UE-A sent, bicubically or by the same model; or the source crosses at
its own resolution. What the network does not double, it hands on as it came.

Luma is what the model takes and what the metrics look at: it is judged, and crosses alone, as
monochrome video. Beside that stands what the same pictures take with their colours, in 4:2:0, whose
chroma is doubled bicubically.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from PIL import Image

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.offline.curves import expanded
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.local import LocalModel, local_model
from splitbed.codecs import codec_named
from splitbed.codecs.stage import Setting
from splitbed.errors import UsageError
from splitbed.media.pictures import normalise, pixels_of, preprocess, upright
from splitbed.media.recipes import PictureRecipe, image_recipe
from splitbed.media.video import Pixels
from splitbed.metrics.images import image_quality
from splitbed.metrics.vmaf import vmaf
from splitbed.tasks import upscaling
from splitbed.tensors import TensorInfo

NOBODY, BICUBIC = "none", "bicubic"
NETWORK, UE_B = "network", "ue-b"
Video = list[Pixels]
Upscaler = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class CallPoint:
    """A way to hold the call: who doubles the pictures, and where, and the codec of each hop.

    Rates are of luma, those ``in_colour`` of 4:2:0, at the frames a second that were asked for.
    Quality is that of luma at UE-B against the source, the mean over the frames; None for PSNR
    where nothing is lost, and for VMAF for the ``vmaf_reason``.
    """

    upscaler: str
    where: str
    uplink_codec: str
    downlink_codec: str
    frames: int
    uplink_kbit_s: float
    downlink_kbit_s: float
    uplink_in_colour_kbit_s: float
    downlink_in_colour_kbit_s: float
    psnr_db: float | None
    ssim: float | None
    vmaf: float | None
    vmaf_reason: str | None


def points(config: SweepConfig) -> Iterator[CallPoint]:
    """Each way to hold the call, by codecs of what UE-A and of what the network sends.

    ``config`` has the model, the input, ``runs`` frames, frames a second, and the codecs of both.

    Raises:
        UsageError: a model that does not enlarge the luma of a picture; frames of fewer pixels than
            it makes; a codec that cannot be.
    """
    input_codecs, output_codecs = expanded(config.input_codec), expanded(config.output_codec)
    with local_model(config) as local, local.whole() as session:
        films, name = _films(local), local.model.graph.inputs[0].name

        def own(luma: Pixels) -> Pixels:
            return upscaling.pixels(session.run({name: normalise(luma, films.small)}))

        same = films.small.width == films.large.width
        for codec in () if same else input_codecs:
            yield from films.doubled(codec, output_codecs, local.model.name, own, config.fps)
        for codec in input_codecs if same else output_codecs:
            yield films.undoubled(codec, config.fps)


@dataclass(frozen=True)
class _Films:
    """The frames at both resolutions, as luma and as red, green and blue; how models take them."""

    small: PictureRecipe
    large: PictureRecipe
    low: Video
    high: Video
    low_colour: Video
    high_colour: Video

    def doubled(
        self, codec: str, output_codecs: Sequence[str], model: str, own: Upscaler, fps: float
    ) -> Iterator[CallPoint]:
        """The low resolution crosses the uplink with ``codec``."""
        arrived, up = _crossed(codec, self.small, self.low)
        colours, up_colour = _crossed(codec, _coloured(self.small), self.low_colour)
        made = [own(luma) for luma in arrived]
        rates = up, up, up_colour, up_colour
        ways = {BICUBIC: [self._bicubic(luma) for luma in arrived], model: made}
        for upscaler, seen in ways.items():
            yield self._point((upscaler, UE_B, codec, codec), rates, seen, fps)
        painted = [_painted(*pair) for pair in zip(made, colours, strict=True)]
        for given in output_codecs:
            seen, down = _crossed(given, self.large, made)
            _, down_colour = _crossed(given, _coloured(self.large), painted)
            rates = up, down, up_colour, down_colour
            yield self._point((model, NETWORK, codec, given), rates, seen, fps)

    def undoubled(self, codec: str, fps: float) -> CallPoint:
        """The source crosses both hops at its own resolution."""
        seen, rate = _crossed(codec, self.large, self.high)
        _, colour = _crossed(codec, _coloured(self.large), self.high_colour)
        return self._point((NOBODY, "", codec, codec), (rate, rate, colour, colour), seen, fps)

    def _bicubic(self, luma: Pixels) -> Pixels:
        size = self.large.width, self.large.height
        return _pixels(Image.fromarray(luma[..., 0]).resize(size, Image.Resampling.BICUBIC))

    def _point(
        self,
        way: tuple[str, str, str, str],
        frame_bytes: tuple[float, float, float, float],
        seen: Video,
        fps: float,
    ) -> CallPoint:
        judged = [image_quality(*pair) for pair in zip(self.high, seen, strict=True)]
        psnr = [one.psnr_db for one in judged if one.psnr_db is not None]
        ssim = [one.ssim for one in judged if one.ssim is not None]
        looks = vmaf([one[..., 0] for one in self.high], [one[..., 0] for one in seen])
        up, down, up_colour, down_colour = (nbytes * 8 * fps / 1e3 for nbytes in frame_bytes)
        return CallPoint(
            *way,
            frames=len(seen),
            uplink_kbit_s=up,
            downlink_kbit_s=down,
            uplink_in_colour_kbit_s=up_colour,
            downlink_in_colour_kbit_s=down_colour,
            psnr_db=fmean(psnr) if psnr else None,
            ssim=fmean(ssim) if ssim else None,
            vmaf=looks.value,
            vmaf_reason=looks.reason,
        )


def _films(local: LocalModel) -> _Films:
    small, outputs = local.model.picture_at(0), local.model.graph.outputs
    large = image_recipe(outputs[0]) if len(outputs) == 1 else None
    if small is None or large is None or {len(small.mean), len(large.mean)} != {1}:
        raise UsageError(
            f"{local.model.name} does not make a larger luma of that of one picture: give a model"
            " of 1x1xHxW to 1x1x2Hx2W, such as espcn"
        )
    colour = _coloured(small)
    low, high, low_colour, high_colour = [], [], [], []
    for one in local.model.inputs:
        source = _source(one, large)
        (luma,) = one.tensors.values()
        low.append(pixels_of(luma, small))
        high.append(_pixels(source.convert("L")))
        assert one.frame is not None
        low_colour.append(pixels_of(preprocess(one.frame.read(), colour, one.name), colour))
        high_colour.append(_pixels(source))
    return _Films(small, large, low, high, low_colour, high_colour)


def _source(given: ModelInput, large: PictureRecipe) -> Image.Image:
    """The picture that an input is made of, in colour, in the size that the model makes."""
    assert given.frame is not None
    picture, size = upright(given.frame.read(), given.name), (large.width, large.height)
    if picture.width < large.width or picture.height < large.height:
        raise UsageError(
            f"{given.frame.source} has {picture.width}x{picture.height} pixels, and the model makes"
            f" {large.width}x{large.height}: give larger pictures, or a smaller --shape"
        )
    return picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def _crossed(codec: str, recipe: PictureRecipe, video: Video) -> tuple[Video, float]:
    """What is left of a video behind a hop with this codec; the mean bytes of a frame."""
    info, setting = TensorInfo("picture", recipe.datatype, recipe.shape), Setting(picture=recipe)
    encoder, decoder = (codec_named(codec).bind([info], setting) for _ in range(2))
    arrived, sizes = [], []
    for pixels in video:
        encoded = encoder.encode({info.name: normalise(pixels, recipe)})
        sizes.append(encoded[info.name].nbytes)
        arrived.append(pixels_of(decoder.decode(encoded)[info.name], recipe))
    return arrived, fmean(sizes)


def _coloured(recipe: PictureRecipe) -> PictureRecipe:
    return replace(recipe, mean=(0.0,) * 3, std=(1.0,) * 3)


def _painted(luma: Pixels, small: Pixels) -> Pixels:
    """Luma with the chroma of a smaller picture, doubled bicubically; red, green and blue."""
    _, *chroma = Image.fromarray(small).convert("YCbCr").split()
    own = Image.fromarray(luma[..., 0])
    larger = (each.resize(own.size, Image.Resampling.BICUBIC) for each in chroma)
    return np.asarray(Image.merge("YCbCr", (own, *larger)).convert("RGB"))


def _pixels(image: Image.Image) -> Pixels:
    """Height x width x channels."""
    return np.asarray(image).reshape(image.height, image.width, -1)
