"""The video of a seed: its frames, in any order."""

from collections.abc import Iterator
from functools import cached_property
from threading import Lock

from splitbed.errors import UsageError
from splitbed.media.dice import Dice
from splitbed.media.shapes.scene import HEIGHT, WIDTH, Frame, Pixels, Scene, Thing
from splitbed.tasks.boxes import Box

MIN_SIDE = 48


def sequence(
    seed: int, frames: int, width: int = WIDTH, height: int = HEIGHT, step: int = 1
) -> Iterator[tuple[Pixels, list[Box]]]:
    """The pictures of the video ``seed``, HxWx3, each with its ground truth.

    A box is tight around what is visible of the object: the pixels of which it covers half, inside
    the picture and in front of nothing else.  ``label`` is one of ``SHAPES``, ``track`` names the
    object over time.  Boxes come in order of tracks.  Of the video, every ``step``-th frame is
    drawn, ``frames`` in all.

    Raises:
        UsageError: a negative seed, or a size or count that cannot be.
    """
    return ((frame.picture, frame.boxes) for frame in drawn(seed, frames, width, height, step))


def drawn(
    seed: int, frames: int, width: int = WIDTH, height: int = HEIGHT, step: int = 1
) -> Iterator[Frame]:
    """As :func:`sequence`, and which object each pixel belongs to."""
    if frames < 0 or step < 1:
        raise UsageError(
            f"cannot draw {frames} frames, step {step}: step is 1 or more, frames are not negative"
        )
    return map(Film(seed, width, height).frame, range(0, frames * step, step))


class Film:
    """The video ``seed``: each frame is drawn when it is asked for, in any order.

    Kept are the last, and where things are in all up to the furthest that was asked for.

    Raises:
        UsageError: a negative seed, or a size that cannot be.
    """

    def __init__(self, seed: int, width: int = WIDTH, height: int = HEIGHT) -> None:
        if min(width, height) < MIN_SIDE or seed < 0:
            raise UsageError(
                f"cannot draw {width}x{height} from seed {seed}: sides are {MIN_SIDE} or more, "
                "the seed is not negative"
            )
        self._seed, self._size = seed, (width, height)
        self._lock = Lock()
        self._last: tuple[int, Frame] | None = None

    def frame(self, index: int) -> Frame:
        """One picture; from any thread."""
        with self._lock:
            if self._last is None or self._last[0] != index:
                while len(self._things) <= index:
                    self._things.append(self._scene.move(len(self._things), self._things[-1]))
                self._last = index, self._scene.draw(index, self._things[index])
            return self._last[1]

    @cached_property
    def _scene(self) -> Scene:
        return Scene(Dice(self._seed), *self._size)

    @cached_property
    def _things(self) -> list[list[Thing]]:
        return [self._scene.first()]
