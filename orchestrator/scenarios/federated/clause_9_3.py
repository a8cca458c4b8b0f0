"""The scenario of federated averaging, run, and its tables.

scenario.yaml, scenario.md   as of every scenario     federated.csv, targets.csv   every column
tables.md, table-*.csv       the tables, for people   report.html                  all of it
accuracy.png                 accuracy over time
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from orchestrator.ask.scenario_file import Scenario
from orchestrator.federated import spark
from orchestrator.federated.asked import Federated, federated
from orchestrator.federated.row import RoundRow, TargetRow
from orchestrator.federated.run import Outcome, Say, run_federated
from orchestrator.results.run_folder import RunFolder
from orchestrator.scenarios.federated.plot import PICTURE_FILE, plot
from orchestrator.scenarios.tables import Line, Table
from splitbed.command import say
from splitbed.errors import UsageError
from splitbed.model_coders import coder_named, lacking

TABLES_FILE = "tables.md"
TAKES = {"bw": "bw", "coder_name": "coder"}
"""Option of the command -> option of the scenario."""
TITLES = {
    "9.3-targets": "Time to the target accuracy",
    "9.3-rounds": "Rounds: medians over rounds and UEs",
    "9.3-missing": "Who was missing",
}
NOTES = {
    "9.3-targets": "Of the anchor, central training, the samples' way to it is computed: bytes of "
    "whoever has most, at the rate of the link.",
}


def checked(scenario: Scenario, options: Mapping[str, object]) -> Scenario:
    """The scenario with ``options`` over its own.

    Raises UsageError for what cannot be run, MachineError where Spark is not here.
    """
    if wrong := [name for name in options if name not in TAKES]:
        raise UsageError(
            f"--{wrong[0].replace('_', '-')} is for scenarios that split or send a model: the"
            f" scenario {scenario.clause} trains one, and takes --bw and --coder"
        )
    given = {TAKES[name]: value for name, value in options.items()}
    asked = federated({**scenario.federated, **given})
    spark.check()
    here = asked.coder if "coder" in given else _here(asked)
    told = {**scenario.federated, **given, "coder": list(here)}
    return scenario.replaced(federated={name: _plain(value) for name, value in told.items()})


def run(scenario: Scenario, folder: Path, told: Say) -> Outcome:
    """Run the scenario that ``folder`` holds, or go on with it. Raises SplitbedError."""
    files = RunFolder(folder)
    outcome = run_federated(federated(scenario.federated), files, told)
    found = tables(outcome)
    for table in found:
        files.replace(f"table-{table.name}.csv", table.csv())
    heading = f"# {scenario.clause} {scenario.name}: results\n"
    files.replace(TABLES_FILE, "\n".join([heading, *(table.markdown() for table in found)]))
    plot(outcome.rounds, federated(scenario.federated).target, folder / PICTURE_FILE)
    return outcome


def tables(outcome: Outcome) -> list[Table]:
    """Those that have a line."""
    made = {
        "9.3-targets": [_target(row) for row in outcome.targets],
        "9.3-rounds": [_rounds(rows) for rows in _cells(outcome.rounds)],
        "9.3-missing": [_missing(row) for row in outcome.rounds if row.missing],
    }
    return [Table(name, TITLES[name], lines) for name, lines in made.items() if lines]


def _here(asked: Federated) -> Sequence[str]:
    """Coders of which this machine has the libraries; of others it is told what lacks."""
    why = {name: lacking(coder_named(name)) for name in asked.coder}
    for name, words in why.items():
        if words:
            say(f"left out: {name}: {words}", stderr=True)
    return [name for name, words in why.items() if not words]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _cells(rows: Sequence[RoundRow]) -> list[list[RoundRow]]:
    found: dict[tuple[object, ...], list[RoundRow]] = {}
    for row in rows:
        found.setdefault((row.ues, row.bw_mbit, row.coder, row.fault), []).append(row)
    return list(found.values())


def _named(row: RoundRow | TargetRow) -> Line:
    return {"UEs": row.ues, "Mbit/s": row.bw_mbit, "Coder": row.coder, "Fault": row.fault}


def _target(row: TargetRow) -> Line:
    return {
        **_named(row),
        "Rounds": row.target_round,
        "To the target (s)": None if row.target_ms is None else round(row.target_ms / 1e3, 2),
        "Accuracy at the end": row.accuracy,
        "Up (MB)": round(row.up_bytes / 1e6, 3),
        "Down (MB)": round(row.down_bytes / 1e6, 3),
        "Missing": row.missing,
        "Verdict": "VALID" if row.valid else f"INVALID: {row.reason}",
    }


def _rounds(rows: Sequence[RoundRow]) -> Line:
    columns = {
        "Update (kB)": "update_bytes", "Up (kB)": "up_bytes", "Down (kB)": "down_bytes",
        "Down (ms)": "down_ms", "Train (ms)": "train_ms", "Encode (ms)": "encode_ms",
        "Up (ms)": "up_ms", "Aggregate (ms)": "aggregate_ms", "Round (ms)": "round_ms",
    }  # fmt: skip
    told: dict[str, object] = dict(_named(rows[0]))
    for head, name in columns.items():
        there = [value for row in rows if not row.missing if (value := getattr(row, name))]
        scale = 1e3 if name.endswith("_bytes") else 1.0
        told[head] = round(median(there) / scale, 1) if there else None
    return told


def _missing(row: RoundRow) -> Line:
    return {**_named(row), "Round": row.round, "UE": row.ue, "Why": row.missing}
