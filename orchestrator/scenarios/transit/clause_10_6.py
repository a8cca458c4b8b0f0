"""Clause 10.6, bit-incremental transmission: its table, beside what it publishes, and a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from orchestrator.results.run_folder import RunFolder
from orchestrator.scenarios.tables import Line, Table
from orchestrator.scenarios.transit.increments_plot import plot, sent
from orchestrator.transit.increments.row import AT_ONCE, COARSE, UPDATE, IncrementRow

TABLES_FILE, PICTURE_FILE = "tables.md", "accuracy-over-time.png"
TITLES = {
    "10.6.14": "Table 10.6.14",
    "10.6-links": "Over links: seconds from the request",
    "10.6-published": "Beside the published sizes",
}
_VERSIONS = {
    AT_ONCE: "High-Precision Model",
    COARSE: "Low-Precision Model",
    UPDATE: "Model Update*",
}
_NOTE = (
    "* The accuracy is that of the model after the update. Start-up latency is the clause's sum of "
    "encoding, decoding and reconstruction, and has no link in it; what was measured over links is "
    "in the table below. Bitstreams are in MB of 10^6 bytes."
)
_WHY_NOT_ALIKE = (
    "Low precision and an update that is exact hold all that high precision does, so their "
    "bitstreams together are about as large. Those that the clause publishes are half as large "
    "(ResNet18: 9.11 and 0.67 of 20.47 MB): such an update cannot be exact, and with MobileNet_v2 "
    "44.43 % came of it where high precision had 44.91 %. So the ratio of low to high is what may "
    "be compared."
)

NOTES = {"10.6.14": _NOTE, "10.6-published": _WHY_NOT_ALIKE}


@dataclass(frozen=True)
class Published:
    """A model of Table 10.6.14: MB of the bitstreams, at 16 bits, at 8, and of the update."""

    high: float
    low: float
    update: float


PUBLISHED = {
    "vgg16": Published(31.70, 14.66, 0.48),
    "resnet18": Published(20.47, 9.11, 0.67),
    "mobilenet_v2": Published(4.43, 2.10, 0.44),
}


def tables(rows: Sequence[IncrementRow]) -> list[Table]:
    """The clause's table, that of the links, and the published sizes where the case is the same."""
    models = [list(group) for _, group in groupby(rows, attrgetter("model_name"))]
    first = [_first_link(model) for model in models]
    found = {"10.6.14": [_line(row) for one in first for row in one]}
    if any(row.bw_mbit is not None for row in rows):
        links = _by_link(rows).values()
        found["10.6-links"] = [line for link in links for line in _over_link(link)]
    if beside := [line for one in first for line in _beside(one)]:
        found["10.6-published"] = beside
    return [Table(name, TITLES[name], lines) for name, lines in found.items()]


def leave(rows: Sequence[IncrementRow], folder: RunFolder, heading: str = "") -> None:
    """Write the tables into a folder, each as CSV and all of them in tables.md; and the picture."""
    made = tables(rows)
    for table in made:
        folder.replace(f"table-{table.name}.csv", table.csv())
    texts = [f"{one.markdown()}\n{_paragraph(one.name)}" for one in made]
    folder.replace(TABLES_FILE, "\n".join([heading, *texts] if heading else texts))
    if any(row.since_request_ms is not None for row in rows):
        plot(list(_by_link(rows).values()), folder.path / PICTURE_FILE)


def _paragraph(table: str) -> str:
    return f"{NOTES[table]}\n" if table in NOTES else ""


def _first_link(rows: Sequence[IncrementRow]) -> list[IncrementRow]:
    """Sizes, accuracy and what was timed without a link are alike over all of them."""
    return next(iter(_by_link(rows).values()))


def _by_link(rows: Sequence[IncrementRow]) -> dict[tuple[object, ...], list[IncrementRow]]:
    link = attrgetter("model_name", "bw_mbit", "delay_ms", "loss_pct")
    return {key: list(group) for key, group in groupby(rows, link)}


def _line(row: IncrementRow) -> Line:
    return {
        "": _VERSIONS[row.version],
        "Dataset": row.data_set_name,
        "Model": row.model_name,
        "Precision": row.precision_bit if row.precision_bit > 0 else f"qp {row.precision_bit}",
        "Model Accuracy (%)": _percent(row.rec_perf),
        "Start-up Latency (s)": _seconds(row.startup_pd_ms),
        "Bitstream Size (MB)": None if row.rec_size is None else row.rec_size / 1e6,
    }


def _over_link(rows: Sequence[IncrementRow]) -> list[Line]:
    """The model at once, then in steps: when it first answers, and when it is the fine one."""
    at_once = [row for row in rows if row.version == AT_ONCE]
    in_steps = [row for row in rows if row.version != AT_ONCE]
    return [
        {
            "Model": way[0].model_name,
            "Mbit/s": way[0].bw_mbit,
            "Delay (ms)": way[0].delay_ms,
            "Sent": sent(way),
            "First inference": _seconds(way[0].since_request_ms),
            "its accuracy (%)": _percent(way[0].ue_perf),
            "Full accuracy": _seconds(way[-1].since_request_ms),
            "that accuracy (%)": _percent(way[-1].ue_perf),
            "Inferences before it": sum(row.inferences_meanwhile or 0 for row in way),
            "Valid": all(row.valid for row in way),
        }
        for way in (at_once, in_steps)
        if way
    ]


def _beside(rows: Sequence[IncrementRow]) -> list[Line]:
    """Sizes and their ratios to that of the high precision; none of another case."""
    clause = PUBLISHED.get(rows[0].model_name)
    if clause is None or [row.precision_bit for row in rows] != [16, 8, 16]:
        return []
    sizes = {row.version: (row.rec_size or 0) / 1e6 for row in rows}
    published = {AT_ONCE: clause.high, COARSE: clause.low, UPDATE: clause.update}
    return [
        {
            "": _VERSIONS[version],
            "Model": rows[0].model_name,
            "ours (MB)": sizes[version],
            "published (MB)": published[version],
            "ours / high": sizes[version] / sizes[AT_ONCE],
            "published / high": published[version] / clause.high,
        }
        for version in (AT_ONCE, COARSE, UPDATE)
    ]


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 2)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1e3
