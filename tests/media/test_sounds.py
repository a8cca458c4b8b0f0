"""Sounds become what recognisers take, whatever the file's rate, channels and length."""

import io

import numpy as np
import numpy.typing as npt
import pytest

from splitbed.errors import UsageError
from splitbed.media.recipes import SoundRecipe
from splitbed.media.sounds import preprocess, wave_file

RATE = 16_000
PLAIN = SoundRecipe(RATE, levelled=False)


def tone(rate: int = RATE, seconds: float = 1.0, hertz: float = 440.0) -> npt.NDArray[np.int16]:
    times = np.arange(int(rate * seconds)) / rate
    return np.asarray(8000 * np.sin(2 * np.pi * hertz * times), np.int16)


def test_samples_are_those_of_the_file_from_minus_1_to_1() -> None:
    made = preprocess(wave_file(tone(), RATE), PLAIN, "tone")
    assert made.shape == (1, RATE) and made.dtype == np.float32
    assert np.array_equal(made[0] * 32768, tone())


def test_flac_is_read_as_wav_is() -> None:
    soundfile = pytest.importorskip("soundfile")
    flac = io.BytesIO()
    soundfile.write(flac, tone(), RATE, format="FLAC")
    assert np.array_equal(
        preprocess(flac.getvalue(), PLAIN, "tone"), preprocess(wave_file(tone(), RATE), PLAIN, "")
    )


def test_levelled_sounds_have_zero_mean_and_unit_variance() -> None:
    made = preprocess(wave_file(tone() + np.int16(50), RATE), SoundRecipe(RATE), "tone")
    assert abs(made.mean()) < 1e-4 and abs(made.std() - 1) < 1e-4


def test_what_is_short_ends_in_silence() -> None:
    made = preprocess(wave_file(tone(seconds=0.5), RATE), PLAIN, "tone")
    assert made.shape == (1, RATE) and not made[0, RATE // 2 :].any() and made.any()


def test_what_is_long_is_refused_with_what_takes_it() -> None:
    with pytest.raises(UsageError, match=r"lasts 2\.00 s.* takes 1\.00 s.*waveform=1x32000"):
        preprocess(wave_file(tone(seconds=2), RATE), PLAIN, "tone")


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_and_keep_their_pitch(rate: int) -> None:
    made = preprocess(wave_file(tone(rate), rate), PLAIN, "tone")[0]
    assert np.abs(np.fft.rfft(made)).argmax() == 440


def test_a_small_file_of_hours_of_silence_is_refused_unread() -> None:
    soundfile = pytest.importorskip("soundfile")
    flac = io.BytesIO()
    soundfile.write(flac, np.zeros(8000 * 601, np.int16), 8000, format="FLAC")
    with pytest.raises(UsageError, match="hush has 4808000 samples: up to 600 s"):
        preprocess(flac.getvalue(), PLAIN, "hush")


def test_what_would_be_resampled_to_more_than_fits_is_refused_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scipy.signal.resample_poly", None)
    hush = wave_file(np.zeros(1000 * 600, np.int16), 1000)
    with pytest.raises(UsageError, match=r"takes 0\.01 s"):
        preprocess(hush, SoundRecipe(samples=4000, rate=400_000), "hush")


@pytest.mark.parametrize(("most_bytes", "fits"), [(8 * RATE, True), (8 * RATE - 1, False)])
def test_a_sound_is_decoded_to_so_many_bytes(most_bytes: int, fits: bool) -> None:
    second = wave_file(np.zeros(RATE, np.int16), RATE)
    recipe = SoundRecipe(samples=RATE, rate=RATE)
    if fits:
        assert preprocess(second, recipe, "second", most_bytes).shape == (1, RATE)
    else:
        with pytest.raises(UsageError, match="will not decode second"):
            preprocess(second, recipe, "second", most_bytes)


def test_channels_of_flac_are_averaged_as_they_are_read() -> None:
    soundfile = pytest.importorskip("soundfile")
    flac, frames = io.BytesIO(), 150_000
    both = np.stack([np.full(frames, 1000, np.int16), np.full(frames, 3000, np.int16)], 1)
    soundfile.write(flac, both, RATE, format="FLAC")
    made = preprocess(flac.getvalue(), SoundRecipe(frames, RATE, levelled=False), "both")
    assert made.shape == (1, frames)
    assert np.allclose(made, 2000 / 32768)


@pytest.mark.parametrize("rate", [1, 2**31 - 1])
def test_a_rate_that_nothing_is_recorded_at_is_refused(rate: int) -> None:
    with pytest.raises(UsageError, match=f"tone has {rate} samples a second"):
        preprocess(wave_file(tone(), rate), PLAIN, "tone")


@pytest.mark.parametrize(
    "damage",
    [b"", b"RIFF", b"fLaC" + bytes(40), wave_file(tone(), RATE)[:30], b"\x89PNG\r\n\x1a\n" * 9],
    ids=["nothing", "RIFF alone", "FLAC of zeros", "half a header", "a picture"],
)
def test_what_is_no_sound_is_refused_by_name(damage: bytes) -> None:
    pytest.importorskip("soundfile")
    with pytest.raises(UsageError, match="murmur"):
        preprocess(damage, PLAIN, "murmur.wav")
