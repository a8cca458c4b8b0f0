"""Videos with ground truth: a file and what lies beside it, and SFU-HW-Objects (clause 2.1.1.1).

A video's ground truth has its stem: ``VIDEO.json`` (COCO's format, an image per frame) or a folder
``VIDEO/`` of text files, one per frame, ordered by the number at the end of their stems, the first
being 0 or 1.  In SFU-HW-Objects it is ``ground-truth/VIDEO.json`` or ``ground-truth/VIDEO/``, or
``ground-truth/VIDEO_*.txt``; a name may be short of what follows ``_``: ``BQMall`` is
``BQMall_832x480_60``.
"""

from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path

from splitbed.errors import UsageError
from splitbed.media.datasets.coco import Instances, read_instances
from splitbed.media.datasets.frames import Dataset, Frame
from splitbed.media.datasets.truth import class_table, numbered, text_truth
from splitbed.media.files import hash_file
from splitbed.media.video import VIDEO_SUFFIXES, Video
from splitbed.tasks.boxes import Box
from splitbed.tasks.classes import COCO_CLASSES

VIDEOS, TRUTH = "videos", "ground-truth"
Truth = Callable[[], Iterable[Box]]


def open_video(path: Path, usual: tuple[str, ...] = COCO_CLASSES) -> Dataset:
    """A video file and the ground truth beside it; of SFU-HW-Objects where it lies in ``videos/``.

    ``usual`` are the classes where no file says others.

    Raises:
        UsageError: as Video; ground truth that does not match the frames one to one.
        MachineError: PyAV is missing.
    """
    root = path.parent.parent
    if path.parent.name == VIDEOS and (root / TRUTH).is_dir():
        return _dataset(path, _sfu_truth(root, path), "sfu-hw-objects")
    return _dataset(path, _beside(path), "video", usual)


def is_sfu(path: Path) -> bool:
    """Whether the folder has ``videos/`` and ``ground-truth/``."""
    return (path / VIDEOS).is_dir() and (path / TRUTH).is_dir()


def files(path: Path) -> list[Path]:
    """The videos of SFU-HW-Objects in the folder ``path``, by name."""
    return sorted(p for p in (path / VIDEOS).iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)


def open_sfu(path: Path, sequence: str | None = None) -> Dataset:
    """A sequence of SFU-HW-Objects; without a name the only one that there is.

    Raises:
        UsageError: as open_video; no such sequence, or several.
    """
    every = files(path)
    found = _named(sequence, every) if sequence else every
    if len(found) != 1:
        asked = f"{path}:{sequence}" if sequence else str(path)
        names = ", ".join(p.stem for p in found or every) or "none"
        raise UsageError(
            f"{asked} names {len(found)} sequences: choose one as {path}:NAME, of {names}"
        )
    return open_video(found[0])


def _named(name: str, among: Iterable[Path]) -> list[Path]:
    """Those of that stem; else those of which one name is the other's beginning, up to a ``_``."""
    every, short = list(among), name.casefold()
    exact = [file for file in every if file.stem.casefold() == short]
    return exact or [
        file
        for file in every
        if f"{file.stem.casefold()}_".startswith(f"{short}_")
        or f"{short}_".startswith(f"{file.stem.casefold()}_")
    ]


def _dataset(
    path: Path, truth: list[Path], kind: str, usual: tuple[str, ...] = COCO_CLASSES
) -> Dataset:
    """The video, with ``truth``: an instances file, text files, or nothing."""
    video = Video(path)
    boxes: list[Truth | None]
    classes: tuple[str, ...] = ()
    if not truth:
        boxes = [None] * len(video)
    elif truth[0].suffix == ".json":
        instances = read_instances(truth[0])
        boxes, classes = _of_instances(instances, video), instances.classes
    else:
        classes = class_table(truth[0].parent, usual)
        size = (video.width, video.height)
        truth = numbered(truth, len(video), path)
        boxes = [partial(text_truth, file, classes, size) for file in truth]
    known = cache(partial(hash_file, path))
    return Dataset(
        name=path.stem,
        kind=kind,
        source=str(path),
        frames=[
            Frame(
                f"{index:06}.png",
                str(path),
                read=partial(video.png, index),
                identify=partial(_identify, known, index),
                truth=found,
            )
            for index, found in enumerate(boxes)
        ],
        classes=classes,
        is_sequence=True,
        rate_hz=video.rate_hz,
        truth_files=tuple(truth),
    )


def _identify(video: Callable[[], dict[str, str]], index: int) -> dict[str, str]:
    return {**video(), "frame": str(index)}


def _of_instances(instances: Instances, video: Video) -> list[Truth | None]:
    files = numbered([Path(i.file_name) for i in instances.images], len(video), video.path)
    images = {Path(image.file_name): image for image in instances.images}
    size = video.width, video.height
    return [partial(instances.boxes, images[file], size) for file in files]


def _beside(path: Path) -> list[Path]:
    if (file := path.with_suffix(".json")).is_file():
        return [file]
    folder = path.with_suffix("")
    return sorted(folder.glob("*.txt")) if folder.is_dir() else []


def _sfu_truth(root: Path, video: Path) -> list[Path]:
    inside = sorted((root / TRUTH).iterdir())
    texts = [p for p in inside if p.suffix == ".txt"]
    found = _named(video.stem, (p for p in inside if p.is_dir() or p.suffix == ".json"))
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise UsageError(f"which is the ground truth of {video}: {names}? Name it {video.stem}")
    if found and found[0].is_dir():
        found = sorted(found[0].glob("*.txt"))
    own = [p for p in texts if p.stem.startswith(f"{video.stem}_")]
    files = found or own or (texts if len(list(video.parent.iterdir())) == 1 else [])
    if not files:
        raise UsageError(
            f"no ground truth for {video}: expected {root / TRUTH / video.stem}/ with a text file"
            " per frame"
        )
    return files
