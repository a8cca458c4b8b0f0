"""LibriSpeech (Panayotov et al., ICASSP 2015): read speech in folders, with its transcripts.

``SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt`` has a line for each sound beside it: its name, and
what is said, in upper case.
"""

from pathlib import Path

from splitbed.errors import UsageError
from splitbed.media.datasets.frames import Dataset, Frame
from splitbed.media.files import hash_file, read_file
from splitbed.media.sounds import SUFFIXES

ENDING = ".trans.txt"


def transcript_files(path: Path) -> list[Path]:
    """The files of transcripts in a folder, at most two folders down, sorted."""
    patterns = (f"*{ENDING}", f"*/*{ENDING}", f"*/*/*{ENDING}")
    return sorted(file for pattern in patterns for file in path.glob(pattern))


def open_librispeech(path: Path) -> Dataset:
    """The sounds of a folder such as ``LibriSpeech/test-clean``.

    Raises:
        UsageError: a line without words, or a sound that is not there; it names file and line.
    """
    files = transcript_files(path)
    if not files:
        raise UsageError(f"no speech in the folder {path}: expected files ending in {ENDING}")
    return Dataset(
        name=path.resolve().name,
        kind="librispeech",
        source=str(path),
        frames=[frame for file in files for frame in _frames(file)],
        truth_files=tuple(files),
    )


def _frames(file: Path) -> list[Frame]:
    try:
        lines = read_file(file).decode().splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"cannot read {file}: it is not text in UTF-8") from None
    return [_frame(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _frame(file: Path, number: int, line: str) -> Frame:
    name, _, said = line.strip().partition(" ")
    if not said.split():
        raise UsageError(f"{file}, line {number}: a name and what is said were expected: {line!r}")
    if Path(name).name != name:
        raise UsageError(f"{file}, line {number}: {name!r} is not the name of a file beside it")
    sounds = [file.with_name(name + suffix) for suffix in SUFFIXES]
    sound = next((one for one in sounds if one.is_file()), None)
    if sound is None:
        raise UsageError(f"{file}, line {number}: there is no {' or '.join(map(str, sounds))}")
    return Frame(
        sound.name,
        str(sound),
        read=lambda: read_file(sound),
        identify=lambda: hash_file(sound),
        path=sound,
        transcript=" ".join(said.split()),
    )
