"""A codec: stages in a row, for each tensor of a cut.

    tensor ──> stage 1 ──> stage 2 ──> … ──> the wire ──> … ──> stage 2 ──> stage 1 ──> tensor

Bound to the tensors of a cut, it is one end's coder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from splitbed.codecs.coder import STAGE_BYTES, Coder, Row
from splitbed.codecs.named import NamedKind
from splitbed.codecs.stage import Dial, Setting, Stage
from splitbed.errors import UsageError
from splitbed.tensors import TensorInfo
from splitbed.workers.wanted import check_wanted


@dataclass(frozen=True)
class Codec:
    """What turns tensors into bytes and back; without stages it hands them on (``raw``)."""

    name: str
    stages: tuple[NamedKind, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Its stages, each as the name has it."""
        return tuple(stage.word for stage in self.stages)

    @property
    def lossless(self) -> bool:
        """Whether what comes back is what went in, bit for bit."""
        return all(stage.kind.lossless for stage in self.stages)

    @property
    def calibrated(self) -> bool:
        """Whether it needs ``Setting.ranges``."""
        return any(stage.kind.calibrated for stage in self.stages)

    @property
    def sequential(self) -> bool:
        """Whether a frame is coded with what is known of the frames before."""
        return any(stage.kind.sequential for stage in self.stages)

    @property
    def dial(self) -> Dial | None:
        """What it trades rate for accuracy with, of the first stage where that is left open."""
        return next((stage.dial for stage in self.stages if stage.dial), None)

    @property
    def said(self) -> str:
        """Its name with all that it is fitted by said: of `klt+zstd`, `klt:100+zstd`."""
        return "+".join(one.key if one.fitted else one.word for one in self.stages) or self.name

    def at(self, step: int) -> str:
        """Its name with its dial there; as it is where there is none."""
        words = [*self.words]
        for place, stage in enumerate(self.stages):
            if stage.dial:
                words[place] = stage.at(step)
                break
        return "+".join(words) or self.name

    @property
    def fitted(self) -> bool:
        """Whether it needs ``Setting.tables``."""
        return any(stage.fitted for stage in self.stages)

    @property
    def weighted(self) -> bool:
        """Whether these are made by what part 2 is sensitive to."""
        return any(stage.fitted.weighted for stage in self.stages if stage.fitted)

    def check_first(self) -> None:
        """Raise UsageError where a stage that is fitted to what crosses does not stand first."""
        for place, late in enumerate(self.stages[1:], 1):
            if late.fitted:
                # behind it, what loses something would get no floating point
                apart = not all(stage.kind.lossless for stage in self.stages[:place])
                raise UsageError(
                    f"the codec {self.name} cannot be: {late.word} is fitted to what crosses; "
                    + ("leave one of them out" if apart else "put it first")
                )

    @property
    def local(self) -> bool:
        """Whether it decodes what this process encoded, and nothing that comes from elsewhere."""
        return any(getattr(stage.kind, "local", False) for stage in self.stages)

    def bind(self, infos: Sequence[TensorInfo], setting: Setting) -> Coder:
        """A coder of the tensors ``infos``, for one end and one cell.

        Raises:
            UsageError: a stage cannot take its tensor or its parameter, or has nothing to do where
                it stands; a tensor's size depends on the content; calibration is missing.
            MachineError: a library that a stage needs is missing.
            NodeError: nobody waits for it any more.
        """
        return Coder(self.name, [self._bind(info, setting) for info in infos])

    def least_bytes(self, tensors: int, tables: Mapping[tuple[str, str], bytes]) -> int:
        """What a coder of so many tensors takes at least, by what its tables say themselves.

        These are as ``Setting.tables``.
        """
        said = {one.key: getattr(one.fitted, "kept_bytes", len) for one in self.stages}
        kept = sum(said[key](table) for (key, _), table in tables.items() if key in said)
        return STAGE_BYTES * len(self.stages) * tensors + kept

    def _bind(self, info: TensorInfo, setting: Setting) -> Row:
        check_wanted()
        self.check_first()
        if min(info.shape, default=0) < 0:
            raise UsageError(f"{self.name} cannot code {info}: its size depends on the content")
        stages: list[Stage] = []
        now = info
        for named in self.stages:
            if stages and now != info:
                setting = replace(setting, picture=None, most_bytes=stages[-1].most_bytes)
                if not named.kind.lossless and not now.datatype.startswith("FP"):
                    ahead = "" if self.fitted else f", or put {named.word} first"
                    raise UsageError(
                        f"the codec {self.name} cannot be: {named.word} is for floating point, and"
                        f" gets {now.datatype} from what is before it; leave one of them out{ahead}"
                    )
            try:
                own = setting
                if named.fitted:
                    own = replace(setting, table=named.table(now, setting))
                stages.append(named.kind(now, own, named.parameter))
            except UsageError as error:
                where = f" in {self.name}" if len(self.stages) > 1 else ""
                raise UsageError(
                    f"the codec {named.word}{where} cannot code {info.name}"
                    f" ({now.datatype} {list(now.shape)}): {error}"
                ) from None
            now = stages[-1].encoded
        return Row(self.name, info, tuple(stages))
