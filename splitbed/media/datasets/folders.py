"""Pictures in files: one, a folder of them, or a folder of class folders."""

from pathlib import Path

from splitbed.errors import UsageError
from splitbed.media.datasets.frames import Dataset, Frame, picture_frame, picture_size
from splitbed.media.datasets.truth import class_table, text_truth
from splitbed.media.pictures import SUFFIXES, Picture, load_pictures
from splitbed.tasks.classes import COCO_CLASSES


def open_pictures(path: Path | None, usual: tuple[str, ...] = COCO_CLASSES) -> Dataset:
    """A picture file or a folder of pictures, with ``STEM.txt`` beside a picture as its boxes.

    None is the default picture; ``usual`` are the classes where no file says others. Raises as
    load_pictures does.
    """
    pictures = load_pictures(path)
    classes = class_table(pictures[0].path.parent, usual)
    frames = [_frame(picture, classes) for picture in pictures]
    texts = tuple(_text(one.path) for one, frame in zip(pictures, frames, strict=True)
                  if frame.truth)  # fmt: skip
    return Dataset(
        name=(path or pictures[0].path).resolve().name,
        kind="pictures",
        source=str(path) if path else pictures[0].source,
        frames=frames,
        classes=classes if texts else (),
        truth_files=texts,
    )


def _frame(picture: Picture, classes: tuple[str, ...]) -> Frame:
    path, text = picture.path, _text(picture.path)
    return Frame(
        picture.name,
        picture.source,
        read=picture.read,
        identify=lambda: {"sha256": picture.sha256, "md5": picture.md5},
        truth=(lambda: text_truth(text, classes, picture_size(path))) if text.is_file() else None,
        path=path,
    )


def _text(picture: Path) -> Path:
    return picture.with_suffix(".txt")


def class_folders(path: Path) -> list[Path]:
    """The folders in ``path`` that hold pictures, where these are two or more, else none."""
    found = [p for p in sorted(path.iterdir()) if p.is_dir() and _pictures(p)]
    return found if len(found) > 1 else []


def open_classification(path: Path) -> Dataset:
    """Class folders with pictures in them, as ``cat/1.png``, which is named ``cat_1.png``."""
    classes = class_folders(path)
    return Dataset(
        name=path.resolve().name,
        kind="classification",
        source=str(path),
        frames=[
            picture_frame(file, f"{folder.name}_{file.name}", label=folder.name)
            for folder in classes
            for file in _pictures(folder)
        ],
        classes=tuple(folder.name for folder in classes),
    )


def _pictures(folder: Path) -> list[Path]:
    if folder.name.startswith((".", "_")):
        return []
    try:
        return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder}: {error.strerror}") from error
