"""What the number of a codec is searched for, where it is left open: `klt`, not `klt:100`."""

from collections.abc import Sequence
from dataclasses import dataclass

from splitbed.codecs import CODECS, codec_named
from splitbed.errors import UsageError


@dataclass(frozen=True)
class Target:
    """Of the whole model's accuracy at most ``drop`` lost, or at most ``kbit`` for a frame."""

    drop: float | None = None
    kbit: float | None = None

    @property
    def words(self) -> str:
        """As rows have it: ``drop 0.01``, ``20 kbit``."""
        return f"{self.kbit:g} kbit" if self.drop is None else f"drop {self.drop:g}"

    @property
    def option(self) -> str:
        """As it was asked."""
        if self.drop is None:
            return f"--target-kbit {self.kbit:g}"
        return f"--target-drop {self.drop:g}"


def target_of(drop: float | None, kbit: float | None, codecs: Sequence[str]) -> Target | None:
    """The target of these codecs, None where none is asked for; UsageError for one of no use."""
    if drop is None and kbit is None:
        return None
    if drop is not None and kbit is not None:
        raise UsageError(
            f"--target-drop {drop:g} and --target-kbit {kbit:g} each say which number a codec is "
            "to have: give one of them"
        )
    target = Target(drop, kbit)
    if not any(codec_named(name).dial for name in codecs):
        dials = [name for name, kind in CODECS.items() if getattr(kind, "dial", None)]
        raise UsageError(
            f"{target.option} is searched for with the number of a codec, and "
            f"{', '.join(dict.fromkeys(codecs))} leaves none open: give {', '.join(dials)} without"
        )
    return target
