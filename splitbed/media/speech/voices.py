"""Voices of espeak-ng and flite, which Debian has; each is a program that writes a WAV file.

``TRAINED`` speak what a recogniser is trained on, ``HELD_OUT`` what it is judged by.
"""

import io
import subprocess
import tempfile
import wave as wav
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from splitbed.errors import MachineError
from splitbed.media.dice import Dice

RATE = 16_000  # samples a second, as LibriSpeech has
ESPEAK_RATE = 22_050
PEAK = 20_000
QUIET = 0.02  # of the peak: what is fainter before and after the words is cut off
BEFORE, AFTER = 400, 800  # samples that stay nonetheless
ACCENTS = ("en-us", "en-us", "en-gb", "en-gb-x-rp")
TRAINED = (
    "m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f3", "Andy", "Annie", "Alex", "Alicia",
    "Andrea", "Mike", "Lee", "Michael", "Mario", "Marco", "Hugo", "Jacky", "Gene", "max",
    "edward", "edward2", "robert", "linda", "steph", "steph2", "adam", "anika", "antonio",
    "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "grandma", "grandpa",
    "gustave", "iven", "john", "marcelo", "michel", "miguel", "norbert", "pablo", "paul",
    "quincy", "rob", "travis", "victor",
)  # fmt: skip
HELD_OUT = ("m5", "m8", "f4", "f5", "Denis", "shelby", "pedro", "zac")
FLITE = {"kal16": 105, "slt": 165, "rms": 90}  # and the pitch of each, in Hz

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Voice:
    """Who speaks, how fast and how high; the numbers in the program's own units."""

    name: str
    speed: float
    pitch: int


def voice(dice: Dice, variants: tuple[str, ...], flite: float = 0.0) -> Voice:
    """One of espeak-ng's ``variants`` in some accent, or with odds of ``flite`` one of flite's."""
    if dice.between(0, 1) < flite:
        name = list(FLITE)[dice.pick(len(FLITE))]
        pitch = round(FLITE[name] * dice.between(0.85, 1.2))
        return Voice(f"flite:{name}", round(dice.between(0.85, 1.1), 2), pitch)
    accent, variant = ACCENTS[dice.pick(len(ACCENTS))], variants[dice.pick(len(variants))]
    return Voice(f"{accent}+{variant}", 150 + dice.pick(46), 30 + dice.pick(41))


def speak(text: str, by: Voice) -> Samples:
    """Mono at :data:`RATE`, without the silence before and after.

    Raises:
        MachineError: espeak-ng or flite is not installed, or failed.
    """
    heard, rate = _flite(text, by) if by.name.startswith("flite:") else _espeak(text, by)
    sound = heard.astype(np.float64)
    if rate == ESPEAK_RATE:
        from scipy.signal import resample_poly  # takes a second to import

        sound = resample_poly(sound, 320, 441)
    loud = np.flatnonzero(np.abs(sound) > QUIET * np.abs(sound).max())
    sound = sound[max(0, loud[0] - BEFORE) : loud[-1] + AFTER]
    return np.asarray(np.round(sound / np.abs(sound).max() * PEAK).astype(np.int16))


def _espeak(text: str, by: Voice) -> tuple[Samples, int]:
    voiced = ["-v", by.name, "-s", f"{by.speed:.0f}", "-p", str(by.pitch)]
    return _read(_run(["espeak-ng", *voiced, "--stdout", text]))


def _flite(text: str, by: Voice) -> tuple[Samples, int]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "said.wav")
        _run([
            "flite", "-voice", by.name.removeprefix("flite:"),
            "--setf", f"duration_stretch={by.speed}", "--setf", f"int_f0_target_mean={by.pitch}",
            "-t", text, "-o", str(file),
        ])  # fmt: skip
        return _read(file.read_bytes())


def _run(argv: list[str]) -> bytes:
    try:
        return subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout
    except FileNotFoundError:
        raise MachineError(
            f"speech is made by {argv[0]}, which is not installed: apt-get install {argv[0]}"
        ) from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise MachineError(f"{' '.join(argv)} failed: {said}") from None


def _read(file: bytes) -> tuple[Samples, int]:
    """espeak-ng writes to a pipe before it knows the length: what there is counts."""
    with wav.open(io.BytesIO(file)) as sound:
        rate = sound.getframerate()
    data = file[44:]
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2"), rate
