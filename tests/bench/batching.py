"""What running frames of several UEs together gains, where the edge has one core for them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.api.sweep import sweep
from orchestrator.results.reading import read_folder
from orchestrator.results.rows import known
from tests.bench.figure import Figure, median

_UES, _BATCH = 8, "max=8,wait=5ms"
_ROUNDS = 2


def figures(folder: Path) -> Iterator[Figure]:
    """Frames a second with batches over those without, for each split, in turns."""
    gains: dict[str, list[float]] = {}
    for place in range(_ROUNDS):
        alone = _fps(folder / f"alone-{place}", {})
        together = _fps(folder / f"together-{place}", {"batch": _BATCH})
        for split in alone:
            gains.setdefault(split, []).append(together[split] / alone[split])
    for split, ratios in gains.items():
        what = f"shapesnet {split}, {_UES} UEs: frames a second, {_BATCH} / one by one"
        yield median(what, "", ratios)


def _fps(folder: Path, batch: Mapping[str, Any]) -> dict[str, float]:
    """By split; of the anchors none: one sends nothing, the other more than the link carries."""
    sweep(
        "shapesnet",
        split="stage2",
        codec="int8",
        bw=150,
        ues=_UES,
        load="closed",
        in_flight=2,
        runs=40,
        ue_threads=1,
        edge_threads=1,
        edge_workers=1,
        **batch,
        delivery=False,
        profile=False,
        out=folder,
    )
    rows = read_folder(folder).rows
    return {one.split: known(one.delivered_fps) for one in rows if one.codec == "int8"}
