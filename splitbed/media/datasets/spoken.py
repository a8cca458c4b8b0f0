"""Speech that is made on the spot: the commands that SpeechNet is judged by."""

from collections.abc import Callable
from functools import cache, partial

from splitbed.errors import UsageError
from splitbed.media.datasets.frames import Dataset, Frame
from splitbed.media.files import hash_bytes
from splitbed.media.sounds import wave_file
from splitbed.media.speech.corpus import JUDGED, Utterance, recordings
from splitbed.media.speech.voices import RATE, Samples


def open_speech(part: str = "") -> Dataset:
    """The recordings of a split: ``test``, or ``dev``, by which encoders may be tuned.

    Nothing is spoken before a recording is read. Raises UsageError for another split.
    """
    split = part or "test"
    if split not in JUDGED:
        raise UsageError(f"speech:{part}: there are speech:{' and speech:'.join(JUDGED)}")
    frames = [_frame(one) for one in recordings(split)]
    return Dataset(name="speech", kind="speech", source=f"speech:{split}", frames=frames)


def _frame(said: Utterance) -> Frame:
    recorded = cache(said.recorded)
    return Frame(
        f"{said.name}.wav",
        f"speech:{said.split}",
        read=lambda: wave_file(recorded(), RATE),
        identify=partial(_identify, recorded),
        transcript=said.text.upper(),
    )


def _identify(recorded: Callable[[], Samples]) -> dict[str, str]:
    """Hashes of the samples, which another version of a synthesiser makes otherwise."""
    return hash_bytes(recorded().tobytes())
