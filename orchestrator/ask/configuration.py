"""What is measured: a split of the model with a codec, over a link, at a pace of the UE."""

from dataclasses import dataclass, field, replace

from netem.spec import LinkSpec
from orchestrator.ask.pace import Pace
from orchestrator.ask.split_point import NOTHING
from splitbed.codecs import RAW, codec_named


@dataclass(frozen=True)
class Configuration:
    """A split point ``k:n-k`` as the user calls it, its codec; ``link`` None is any link."""

    k: int
    n: int
    split_name: str
    codec: str = RAW
    link: LinkSpec | None = None
    pace: Pace = field(default_factory=Pace)

    @property
    def split(self) -> str:
        """The split point: layers in part 1, layers in part 2."""
        return f"{self.k}:{self.n - self.k}"

    @property
    def key(self) -> str:
        """Names it in a journal: the split and all that is asked of it."""
        link = f" over {self.link.words}" if self.link else ""
        pace = f" on UE {self.pace.words}" if self.pace.limits else ""
        return f"{self.split} {self.codec}{link}{pace}"

    @property
    def words(self) -> str:
        """Its split as the user calls it, with the codec where something crosses."""
        return f"{self.split_name} {self.codec}" if self.crosses else self.split_name

    @property
    def crosses(self) -> bool:
        """Whether anything crosses the link."""
        return self.codec != NOTHING

    @property
    def lossless(self) -> bool:
        """Whether the edge gets the very tensors that the UE had."""
        return not self.crosses or codec_named(self.codec).lossless

    @property
    def calibrated(self) -> bool:
        """Whether its codec needs the ranges of what crosses."""
        return self.crosses and codec_named(self.codec).calibrated

    def over(self, link: LinkSpec, pace: Pace) -> "Configuration":
        """The same split and codec over this link, at this pace."""
        return replace(self, link=link, pace=pace)
