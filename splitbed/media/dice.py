"""Random numbers, noise and waves that are the same on every machine, to the bit.

Random numbers are drawn as integers, and all else is made of sums, products, quotients, roots,
floors and comparisons of single numbers, each of which IEEE 754 rounds in one way only.  Sines,
sums over arrays and matrix products are not: libraries and processors differ in them.
"""

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Dice:
    """Random numbers of a seed, the same on every machine."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * (int(self.rng.integers(1 << 20)) / (1 << 20))

    def pick(self, count: int) -> int:
        return int(self.rng.integers(count))

    def colour(self, low: float, high: float) -> Floats:
        return np.array([self.between(low, high) for _ in range(3)], np.float32)

    def lattice(self, *shape: int) -> Floats:
        """Numbers from -1 to 1."""
        return np.asarray(self.rng.integers(-128, 129, shape).astype(np.float32) / np.float32(128))


def wave(turns: float) -> float:
    """Nearly a sine, of parabolas: -1 to 1, period 1."""
    phase = turns - math.floor(turns)
    return 16 * phase * (0.5 - phase) if phase < 0.5 else -16 * (phase - 0.5) * (1 - phase)


def direction(turns: float) -> tuple[float, float]:
    x, y = wave(turns + 0.25), wave(turns)
    length = math.sqrt(x * x + y * y)
    return x / length, y / length


def noise(dice: Dice, rows: int, columns: int, cell: int) -> Floats:
    """Smooth noise from -1 to 1: random numbers ``cell`` apart, and curves between them."""
    field = dice.lattice(rows // cell + 2, columns // cell + 2)
    for axis, length in enumerate((rows, columns)):
        places = np.arange(length)
        near = places // cell
        part = (places % cell).astype(np.float32) / np.float32(cell)
        part = part * part * (np.float32(3) - np.float32(2) * part)
        low, high = field.take(near, axis), field.take(near + 1, axis)
        field = low + (high - low) * (part[:, np.newaxis] if axis == 0 else part)
    return field
