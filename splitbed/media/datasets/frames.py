"""Frames with what is known of them, and the datasets that they make up."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from splitbed.errors import UsageError
from splitbed.media.files import hash_file, read_file
from splitbed.media.pictures import open_picture
from splitbed.tasks.boxes import Box

_ROTATED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_ORIENTATION = 0x0112


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture, sound or text of a dataset; nothing of it is read before it is asked for.

    ``name`` is a file name, unique in the dataset.  ``source`` is the file, or what made it.
    ``path`` is the picture's own file, where it has one.  ``label`` is its class, where the
    dataset is for classification, ``transcript`` what is said, where it is of speech, ``target``
    the tokens that a text should become, ``relevance`` how good each candidate is.
    """

    name: str
    source: str
    read: Callable[[], bytes] = field(repr=False)
    """Encoded bytes, as preprocess takes them; lossless PNG where the picture has no file.

    Raises UsageError where the file cannot be read, or the video ends early or is damaged.
    """
    identify: Callable[[], dict[str, str]] = field(repr=False)
    truth: Callable[[], Iterable[Box]] | None = field(default=None, repr=False)
    label: str | None = None
    path: Path | None = None
    transcript: str | None = None
    target: tuple[int, ...] | None = None
    relevance: tuple[float, ...] | None = None

    @cached_property
    def boxes(self) -> tuple[Box, ...] | None:
        """The ground truth in pixels of the upright picture; None where there is none.

        Read and checked when first asked for.

        Raises:
            UsageError: it is not what it should be; the message names file and line.
        """
        return None if self.truth is None else tuple(self.truth())

    @property
    def shows(self) -> str | None:
        """The class of all that is on it: the label, or that of its boxes where these have one.

        Raises UsageError as :attr:`boxes`.
        """
        classes = {box.label for box in self.boxes or ()} if self.label is None else {self.label}
        return classes.pop() if len(classes) == 1 else None

    @cached_property
    def _identified(self) -> dict[str, str]:
        return self.identify()

    def facts(self) -> dict[str, str]:
        """What identifies it in run.json: name, source, sha256, md5 and the index in a video."""
        return {"name": self.name, "source": self.source, **self._identified}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Frames in their order.

    ``is_sequence`` says that frames follow one another in time, ``rate_hz`` how fast.  ``classes``
    are the labels that its ground truth can have.  ``truth_files`` hold the ground truth.
    ``siblings`` are sources of datasets like it that have none of its frames: of data that are
    generated, those of other seeds.
    """

    name: str
    kind: str
    source: str
    frames: Sequence[Frame]
    classes: tuple[str, ...] = ()
    is_sequence: bool = False
    rate_hz: float | None = None
    truth_files: tuple[Path, ...] = ()
    siblings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        (name, count), *_ = Counter(frame.name for frame in self.frames).most_common(1)
        if count > 1:
            raise UsageError(f"{self.source} has {count} pictures named {name}: rename all but one")

    @property
    def annotated(self) -> int:
        """How many frames have ground truth: a box, class, transcript, target or relevance."""
        kinds = ("truth", "label", "transcript", "target", "relevance")
        return sum(any(getattr(one, kind) is not None for kind in kinds) for one in self.frames)

    def facts(self) -> dict[str, object]:
        """What identifies it in run.json; the ground truth by a sha256 over all of its files."""
        facts: dict[str, object] = {
            "name": self.name,
            "kind": self.kind,
            "source": self.source,
            "frames": len(self.frames),
            "annotated": self.annotated,
            "is_sequence": self.is_sequence,
        }
        if self.truth_files:
            together = hashlib.sha256()
            for path in self.truth_files:
                together.update(read_file(path))
            facts["truth"] = {"files": len(self.truth_files), "sha256": together.hexdigest()}
        return facts


def picture_frame(
    path: Path,
    name: str | None = None,
    truth: Callable[[], Iterable[Box]] | None = None,
    label: str | None = None,
) -> Frame:
    """The frame of a picture file, which is looked at no sooner than it is read."""
    return Frame(
        name or path.name,
        str(path),
        read=lambda: read_file(path),
        identify=lambda: hash_file(path),
        truth=truth,
        label=label,
        path=path,
    )


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture file, upright.

    Raises:
        UsageError: it cannot be read, or is no picture.
    """
    data = read_file(path)
    try:
        with open_picture(data, str(path)) as image:
            turned = image.getexif().get(_ORIENTATION) in _ROTATED
            return (image.height, image.width) if turned else image.size
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"cannot tell the size of {path}: {error}") from error
