"""What a calibration came to, as it is kept with a run.

calibration.json     the model, the frames, ranges by tensor, and which tables are of what;
                     the frames that ranges of parts in 8 bits are taken of
tables/SHA256        what a stage was fitted to
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.results.json_record import json_text
from orchestrator.results.run_folder import CALIBRATION_FILE, RunFolder
from orchestrator.testbed.model import Fitted, Known
from splitbed.codecs import codec_named
from splitbed.codecs.calibration import from_json, to_json
from splitbed.codecs.fitting import digest, needed
from splitbed.errors import RunError
from splitbed.graphs.graph import Cut

MOST_TABLES = 4096


@dataclass(frozen=True)
class Calibration:
    """What codecs are told, and the frames that it is from; `model` has the model's sha256."""

    model: str | None = None
    frames: tuple[dict[str, str], ...] = ()
    known: Known = field(default_factory=Known)
    quantised_on: tuple[dict[str, str], ...] = ()
    """The frames that parts in 8 bits have their ranges from."""

    def serves(self, k: int, cut: Cut, name: str) -> bool:
        """Whether it has what a codec needs at a cut, that after `k` layers."""
        codec = codec_named(name)
        floating = [info.name for info in cut.tensors if info.datatype.startswith("FP")]
        tables = {(k, *one) for one in needed(codec, cut.tensors)}
        return (not codec.calibrated or set(floating) <= self.known.ranges.keys()) and (
            tables <= self.known.tables.keys()
        )

    def and_also(self, other: "Calibration") -> "Calibration":
        """This one, with what `other` has besides."""
        return Calibration(
            self.model,
            (*self.frames, *(one for one in other.frames if one not in self.frames)),
            Known(
                {**other.known.ranges, **self.known.ranges},
                tables={**other.known.tables, **self.known.tables},
                unfitted={**self.known.unfitted, **other.known.unfitted},
            ),
            self.quantised_on or other.quantised_on,
        )

    def keep(self, folder: RunFolder) -> None:
        """Write it down, where there is something; RunError where that fails."""
        if not (self.frames or self.quantised_on):
            return
        rows = [
            {"cut": k, "stage": stage, "tensor": tensor, "sha256": folder.keep_tables(table)}
            for (k, stage, tensor), table in self.known.tables.items()
        ]
        told = {
            "model": self.model,
            "frames": self.frames,
            "quantised_on": self.quantised_on,
            "ranges": json.loads(to_json(self.known.ranges)),
            "tables": rows,
        }
        folder.replace(CALIBRATION_FILE, json.dumps(told))


def read_calibration(folder: RunFolder, model: str | None) -> Calibration:
    """What :meth:`Calibration.keep` wrote, nothing where it never did.

    Raises RunError for what is damaged, or is of another model than that of this sha256.
    """
    file = folder.path / CALIBRATION_FILE
    if not file.exists():
        return Calibration(model)
    try:
        held = json.loads(json_text(file))
        if (of := held.get("model")) not in (None, model):
            raise RunError(
                f"{file} is of another model, of sha256 {of}, and this one has {model}; codecs "
                "would code by what never crossed: start a new run"
            )
        ranges = from_json(json.dumps(held["ranges"]))
        return Calibration(
            model,
            tuple(held["frames"]),
            Known(ranges, tables=dict(_tables(folder, held.get("tables", ())))),
            tuple(held.get("quantised_on", ())),
        )
    except (
        OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError
    ) as error:  # fmt: skip
        raise RunError(f"the run's calibration cannot be read: {error}; start a new run") from None


def _tables(folder: RunFolder, rows: Sequence[Mapping[str, Any]]) -> Iterable[tuple[Fitted, bytes]]:
    if len(rows) > MOST_TABLES:
        raise ValueError(f"it names {len(rows)} tables, and {MOST_TABLES} are the most")
    for row in rows:
        table = folder.read_tables(row["sha256"])
        if digest(table) != row["sha256"]:
            raise RunError(
                f"the tables of {row['stage']} for {row['tensor']} in {folder.path} are not those "
                f"of sha256 {row['sha256']}: have them from a backup, or start a new run"
            )
        yield (int(row["cut"]), row["stage"], row["tensor"]), table
