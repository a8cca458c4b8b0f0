"""Sounds: making model inputs of their bytes, and files of their samples."""

import io
import wave as wav
from collections.abc import Callable
from math import gcd

import numpy as np
import numpy.typing as npt

from splitbed.errors import MachineError, UsageError
from splitbed.media.recipes import SoundRecipe

SUFFIXES = (".flac", ".wav")
MOST_SECONDS = 600
RATES = range(1000, 400_001)  # what others would be resampled by has as many taps as they are high
_WAVE, _FLAC = b"RIFF", b"fLaC"
_MOST_SEEKS = 1000
"""In a WAV file, one for each chunk before its samples."""
_BLOCK = 1 << 16

Check = Callable[[int, int], None]
"""Refuses so many samples, so many in a second, before they are decoded."""


def preprocess(
    data: bytes, recipe: SoundRecipe, name: str, most_bytes: int | None = None
) -> npt.NDArray[np.float32]:
    """The model input 1xSAMPLES made of an encoded sound's bytes.

    Channels are averaged, other rates than the recipe's resampled (polyphase, as scipy does), then
    the values levelled, where the recipe asks for it. Silence fills what is short of
    ``recipe.samples``; 0 takes what there is. ``name`` is what an error calls the sound; decoded it
    has up to ``most_bytes``, where that is told.

    Raises:
        UsageError: the bytes are no sound, are damaged, or last longer than the recipe's samples.
        MachineError: FLAC, and soundfile is not installed.
    """
    size = recipe.samples

    def check(samples: int, rate: int) -> None:
        _check(samples, rate, name)
        there = -(-samples * recipe.rate // rate)  # once it is resampled
        if size and there > size:
            raise UsageError(
                f"{name} lasts {there / recipe.rate:.2f} s, the model takes"
                f" {size / recipe.rate:.2f} s: give --shape waveform=1x{there} or more"
            )
        if most_bytes is not None and max(samples, there) * 8 > most_bytes:
            raise UsageError(f"will not decode {name}: {samples} samples take over {most_bytes} B")

    samples, rate = _read(data, name, check)
    if rate != recipe.rate:
        from scipy.signal import resample_poly  # a second to import

        common = gcd(rate, recipe.rate)
        samples = resample_poly(samples, recipe.rate // common, rate // common)
    wave = samples.astype(np.float32)[np.newaxis]
    if recipe.levelled:
        wave = levelled(wave)
    return np.pad(wave, ((0, 0), (0, (size or wave.shape[1]) - wave.shape[1])))


def levelled(waves: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Zero mean and unit variance over the last axis, which is time."""
    mean, spread = waves.mean(-1, keepdims=True), waves.std(-1, keepdims=True)
    return np.asarray((waves - mean) / (spread + np.float32(1e-7)))


def wave_file(samples: npt.NDArray[np.int16], rate: int) -> bytes:
    """A WAV file of one channel."""
    file = io.BytesIO()
    with wav.open(file, "wb") as sound:
        sound.setparams((1, 2, rate, len(samples), "NONE", ""))
        sound.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def _read(data: bytes, name: str, check: Check) -> tuple[npt.NDArray[np.float64], int]:
    """Samples from -1 to 1 of one channel, and how many there are in a second."""
    try:
        if data.startswith(_WAVE):
            return _read_wave(data, check)
    except (EOFError, wav.Error) as error:
        raise UsageError(
            f"cannot read {name} as WAV of 16 bits: {error or 'it ends early'}"
        ) from None
    if not data.startswith(_FLAC):  # soundfile would try two dozen decoders on it
        raise UsageError(f"{name} is no sound that can be read: neither WAV nor FLAC")
    return _read_flac(data, name, check)


class _Waves(io.BytesIO):
    """A WAV file in which nobody goes on from chunk to chunk for long."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._seeks = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._seeks += 1
        if self._seeks > _MOST_SEEKS:
            raise wav.Error("it has too many chunks")
        return super().seek(offset, whence)


def _check(samples: int, rate: int, name: str) -> None:
    if rate not in RATES:
        raise UsageError(
            f"{name} has {rate} samples a second: {RATES[0]} to {RATES[-1]} can be read"
        )
    if not 0 < samples <= MOST_SECONDS * rate:
        raise UsageError(f"{name} has {samples} samples: up to {MOST_SECONDS} s can be read")


def _read_wave(data: bytes, check: Check) -> tuple[npt.NDArray[np.float64], int]:
    with wav.open(_Waves(data)) as sound:
        if sound.getsampwidth() != 2:
            raise wav.Error(f"it has {8 * sound.getsampwidth()} bits a sample")
        channels, rate = sound.getnchannels(), sound.getframerate()
        frames = sound.readframes(sound.getnframes())
    whole = len(frames) // (2 * channels) * 2 * channels
    check(whole // (2 * channels), rate)
    return np.frombuffer(frames[:whole], "<i2").reshape(-1, channels).mean(1) / 32768, rate


def _read_flac(data: bytes, name: str, check: Check) -> tuple[npt.NDArray[np.float64], int]:
    try:
        import soundfile  # an optional extra
    except (ImportError, OSError):
        raise MachineError(
            f"reading {name} needs soundfile: run \"pip install 'splitbed[speech]'\""
        ) from None
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            check(sound.frames, sound.samplerate)  # a small file may hold hours of silence
            blocks = sound.blocks(_BLOCK, always_2d=True)  # and that in eight channels
            return np.concatenate([one.mean(1) for one in blocks]), sound.samplerate
    except soundfile.LibsndfileError as error:
        raise UsageError(f"cannot read {name} as a sound: {error}") from None
