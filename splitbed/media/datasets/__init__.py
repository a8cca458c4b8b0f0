"""Datasets: whatever pictures, sounds and texts come from, opened as frames with ground truth.

====================  =============================================================================
kind                  what it is opened from, as orchestrate's --input
====================  =============================================================================
``shapes``            the name ``shapes``, ``shapes:SEED`` or ``shapes:SEED@WIDTHxHEIGHT``:
                      generated, with exact ground truth
``emblems``           the name ``emblems`` or ``emblems:SEED``: generated, a class for each picture
``pictures``          a picture FILE or a FOLDER of them; ``STEM.txt`` beside a picture is its boxes
``classification``    a FOLDER of two or more class folders with pictures in them, or one that has
                      such a FOLDER ``test``
``coco``              an instances FILE.json, or a FOLDER with one (also in ``annotations/``)
``librispeech``       a FOLDER with ``*.trans.txt`` and the sounds they tell of, at any depth
``speech``            the name ``speech``: commands, spoken by espeak-ng in noise, with transcripts
``sentences``         the name ``sentences`` or ``sentences:SEED``: generated texts, a token a byte
``text``              a FILE of tokens, as :mod:`splitbed.media.datasets.texts` says
``voc``               a FOLDER with ``JPEGImages`` and ``Annotations``; FOLDER:SET for an image set
``sfu-hw-objects``    a FOLDER with ``videos`` and ``ground-truth``; FOLDER:SEQUENCE where it has
                      several, or the file in ``videos``
``video``             a video FILE; ``STEM.json`` or a folder ``STEM`` beside it is its boxes
====================  =============================================================================

A name of the catalogue (``orchestrate datasets``) stands for the folder where that dataset lies.
Boxes are read and checked frame by frame, when they are asked for; which file is of which frame is
checked at once.
"""

from collections.abc import Callable
from pathlib import Path

from splitbed.errors import UsageError, did_you_mean
from splitbed.extensions import Extensible
from splitbed.media.datasets import catalogue, coco, folders, librispeech, texts, videos, voc
from splitbed.media.datasets.frames import Dataset, Frame
from splitbed.media.files import is_there
from splitbed.media.pictures import SUFFIXES
from splitbed.media.video import VIDEO_SUFFIXES
from splitbed.tasks.classes import COCO_CLASSES

__all__ = ["Dataset", "Frame", "open_dataset", "sequences"]


def _open_shapes(part: str) -> Dataset:
    from splitbed.media.datasets import generated

    return generated.open_shapes(part)


def _open_emblems(part: str) -> Dataset:
    from splitbed.media.datasets import emblems

    return emblems.open_emblems(part)


def _open_speech(part: str) -> Dataset:
    from splitbed.media.datasets import spoken

    return spoken.open_speech(part)


def _open_sentences(part: str) -> Dataset:
    from splitbed.media.datasets import sentences

    return sentences.open_sentences(part)


DATASETS: Extensible[Callable[[str], Dataset]] = Extensible(
    "splitbed.datasets",
    "dataset",
    {
        "shapes": _open_shapes,
        "emblems": _open_emblems,
        "speech": _open_speech,
        "sentences": _open_sentences,
    },
    kind="function that opens a dataset",
    needs=("__call__",),
)
"""What makes a dataset of what stands behind the colon of NAME:PART; of other packages, too."""


def open_dataset(
    source: Path | str | None = None, usual: tuple[str, ...] = COCO_CLASSES
) -> Dataset:
    """The dataset in a file or folder, or of a name; None is the default picture.

    A path that exists is taken as such, whatever it is called.  ``usual`` are the classes of text
    files, as a rule the model's, where no ``classes.txt`` names others.

    Raises:
        UsageError: there is nothing, nothing that is known, or it is not what it should be.
        MachineError: a video, and PyAV is missing.
    """
    if source is None:
        return folders.open_pictures(None, usual)
    name, _, part = str(source).rpartition(":")
    if is_there(source) or not name:
        name, part = str(source), ""
    if name in DATASETS and not is_there(source):
        return DATASETS[name](part)
    if not is_there(name) and (known := catalogue.CATALOGUE.get(name)):
        return _open(catalogue.found(known), part)
    if not is_there(name):
        names = dict.fromkeys([*DATASETS, *catalogue.CATALOGUE])
        raise UsageError(
            f"cannot open {source}: neither a file, a folder nor a dataset ({', '.join(names)})"
            + did_you_mean(name, names, otherwise="")
        )
    return _open(Path(name), part, usual)


def sequences(source: str) -> tuple[str, ...]:
    """Each sequence of SFU-HW-Objects in the folder ``source``; of all else, itself."""
    path = Path(source)
    if not (is_there(path) and videos.is_sfu(path)):
        return (source,)
    return tuple(f"{source}:{file.stem}" for file in videos.files(path)) or (source,)


def _open(path: Path, part: str, usual: tuple[str, ...] = COCO_CLASSES) -> Dataset:
    if path.is_dir() and (path / "JPEGImages").is_dir() and (path / "Annotations").is_dir():
        return voc.open_voc(path, part or None)
    if path.is_dir() and videos.is_sfu(path):
        return videos.open_sfu(path, part or None)
    if part:
        raise UsageError(
            f"{path}:{part}: only SFU-HW-Objects (videos, ground-truth) has sequences to name, and"
            " PASCAL VOC (JPEGImages, Annotations) image sets"
        )
    if path.is_dir():
        return _open_folder(path, usual)
    return _open_file(path, usual)


def _open_file(path: Path, usual: tuple[str, ...]) -> Dataset:
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return videos.open_video(path, usual)
    if suffix in texts.SUFFIXES:
        return texts.open_texts(path)
    if suffix == ".json":
        return coco.open_coco(path)
    return folders.open_pictures(path, usual)


def _open_folder(path: Path, usual: tuple[str, ...]) -> Dataset:
    if librispeech.transcript_files(path):
        return librispeech.open_librispeech(path)
    if instances := coco.find_instances(path):
        return coco.open_coco(instances)
    here = list(path.iterdir())
    pictures = any(p.suffix.lower() in SUFFIXES for p in here)
    if not pictures and folders.class_folders(path):
        return folders.open_classification(path)
    if not pictures and (test := path / "test").is_dir() and folders.class_folders(test):
        return folders.open_classification(test)  # the Chest X-ray images of clause 10.6.8
    recorded = [p for p in here if p.suffix.lower() in VIDEO_SUFFIXES]
    if not pictures and len(recorded) == 1:
        return videos.open_video(recorded[0], usual)
    return folders.open_pictures(path, usual)
