"""Rooms and noise around speech: what a microphone hears of it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft

from splitbed.media.speech.voices import RATE, Samples

Waves = npt.NDArray[np.float32]

ECHO = RATE // 4  # samples of a room's answer
ECHOING = 0.4  # of all rooms
DECAY_S = 0.1, 0.35  # until an echo is 60 dB down
NOISE_DB = 12.0, 30.0  # how far the noise is below the speech
SLOPES = 0.0, 1.0  # of the noise's amplitude over frequency: from white to pink and beyond
FLOOR_HZ = 60.0  # below which it rises no more
STEP, SEEN = 320, 400  # samples between the frames of wav2vec 2.0, and in each
WINDOW = 149 * STEP + SEEN  # 3 s: what is recorded of a command


def hear(clips: Sequence[Samples], size: int, rng: np.random.Generator) -> Waves:
    """Each clip somewhere in ``size`` samples of silence, with echo and noise: (clips, size).

    So nothing is padded, which noise would tell from silence. Values are within -1 to 1,
    nearly; :func:`splitbed.media.sounds.levelled` is what a model gets.
    """
    dry = np.zeros((len(clips), size), np.float32)
    for row, clip in zip(dry, clips, strict=True):
        start = rng.integers(0, size - len(clip) + 1)
        row[start : start + len(clip)] = clip / np.float32(32768)
    wet = _echoed(dry, rng)
    power = np.square(wet).sum(1, keepdims=True) / [[len(clip)] for clip in clips]
    noise = _noise(wet.shape, rng)
    wanted = power / 10 ** (rng.uniform(*NOISE_DB, (len(clips), 1)) / 10)
    noise *= np.sqrt(wanted / np.square(noise).mean(1, keepdims=True)).astype(np.float32)
    return wet + noise


def _echoed(dry: Waves, rng: np.random.Generator) -> Waves:
    rooms, seconds = len(dry), np.arange(ECHO, dtype=np.float32) / np.float32(RATE)
    decay = rng.uniform(*DECAY_S, (rooms, 1)).astype(np.float32)
    answer = rng.standard_normal((rooms, ECHO), np.float32) * np.exp(-6.9 * seconds / decay)
    answer[:, : RATE // 500] = 0  # sound that comes in the first 2 ms is the direct one
    strength = rng.uniform(0, 0.6, (rooms, 1)) * (rng.random((rooms, 1)) < ECHOING)
    answer *= (strength / np.sqrt(np.square(answer).sum(1, keepdims=True))).astype(np.float32)
    answer[:, 0] = 1
    length = fft.next_fast_len(dry.shape[1] + ECHO, real=True)
    heard = fft.irfft(fft.rfft(dry, length) * fft.rfft(answer, length), length)
    return np.asarray(heard[:, : dry.shape[1]])


def _noise(shape: tuple[int, int], rng: np.random.Generator) -> Waves:
    length = fft.next_fast_len(shape[1], real=True)
    hertz = np.maximum(fft.rfftfreq(length, 1 / RATE), FLOOR_HZ).astype(np.float32)
    slopes = rng.uniform(*SLOPES, (shape[0], 1)).astype(np.float32)
    white = rng.standard_normal((shape[0], len(hertz), 2), np.float32)
    coloured = white.view(np.complex64)[..., 0] * (hertz / np.float32(1000)) ** -slopes
    return np.asarray(fft.irfft(coloured, length)[:, : shape[1]])
