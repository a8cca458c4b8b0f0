"""What generated shapes look like: their outlines and their patterns.

``u`` and ``v`` are coordinates that turn with the shape, from its middle, in its radii.
"""

from collections.abc import Callable

import numpy as np

from splitbed.media.dice import Floats


def _planes(u: Floats, v: Floats, normals: tuple[tuple[float, float], ...]) -> list[Floats]:
    return [u * np.float32(x) + v * np.float32(y) for x, y in normals]


def _bar(u: Floats, v: Floats, long: float, wide: float) -> Floats:
    return np.maximum(np.abs(u) - np.float32(long), np.abs(v) - np.float32(wide))


def _disc(u: Floats, v: Floats) -> Floats:
    return np.asarray(np.sqrt(u * u + v * v) - np.float32(1))


def _triangle(u: Floats, v: Floats) -> Floats:
    one, two, three = _planes(u, v, ((0, 1), (0.8660254, -0.5), (-0.8660254, -0.5)))
    return np.asarray(np.maximum(np.maximum(one, two), three) - np.float32(0.53))


def _star(u: Floats, v: Floats) -> Floats:
    """A pentagram: inside all, or all but one, of the lines through its points."""
    planes = _planes(u, v, _PENTAGON)
    most, second = np.maximum(planes[0], planes[1]), np.minimum(planes[0], planes[1])
    for plane in planes[2:]:
        second = np.maximum(second, np.minimum(most, plane))
        most = np.maximum(most, plane)
    return np.asarray(second - np.float32(0.36))


_PENTAGON = (
    (0.0, 1.0), (0.95105652, 0.30901699), (0.58778525, -0.80901699),
    (-0.58778525, -0.80901699), (-0.95105652, 0.30901699),
)  # fmt: skip

OUTLINES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "disc": _disc,
    "square": lambda u, v: _bar(u, v, 0.8, 0.8),
    "triangle": _triangle,
    "ring": lambda u, v: np.abs(_disc(u, v) + np.float32(0.26)) - np.float32(0.26),
    "cross": lambda u, v: np.minimum(_bar(u, v, 1.0, 0.32), _bar(v, u, 1.0, 0.32)),
    "star": _star,
    "bar": lambda u, v: _bar(u, v, 1.0, 0.2),
    "oval": lambda u, v: _disc(u, v * np.float32(2.5)),
}
"""Distance from the outline, negative inside; lengths in radii."""


def _stripes(u: Floats, period: np.float32) -> Floats:
    """0 to 1 and back in each period, with flat tops."""
    turns = u / period
    edge = np.abs(turns - np.floor(turns) - np.float32(0.5))
    return np.asarray(np.clip((edge - np.float32(0.25)) * np.float32(6) + np.float32(0.5), 0, 1))


PATTERNS: tuple[Callable[[Floats, Floats, np.float32], Floats], ...] = (
    lambda u, _v, _period: np.zeros_like(u),
    lambda u, _v, period: _stripes(u, period),
    lambda u, v, period: np.abs(_stripes(u, period) - _stripes(v, period)),
    lambda u, v, period: _stripes(u + v * v, period),
)
