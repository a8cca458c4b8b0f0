"""Scenario 9.4 beyond its sweep: versions of the model, judged here; then one of them is swept.

original.onnx, quantised.onnx, pruned-30-quantised.onnx   the versions
quantisation.json                                         the frames that they were made by
quantised/                                                run folder of the first quantised one
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from orchestrator.ask.scenario_file import Quantisation, Scenario
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.accuracy import Judge, check_classes
from orchestrator.measure.watcher import Watcher
from orchestrator.results.judgement.verdict import SweepOutcome
from orchestrator.results.reading import read_folder
from orchestrator.scenarios.quantisation.tables import Precision, leave
from orchestrator.scenarios.quantisation.versions import (
    Version,
    check_kind,
    inputs_of,
    versions,
)
from orchestrator.scenarios.swept import swept
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.site import prepared
from splitbed.media.datasets import sequences
from splitbed.runtime.session import PartSession
from splitbed.tensors import Tensors

QUANTISED_FOLDER = "quantised"


def of_other_input(asked: Quantisation, sweep: Mapping[str, object]) -> dict[str, object]:
    """What changes of a scenario whose sweep has another input: each sequence of it is judged."""
    names = sequences(str(sweep["input"]))
    own = asked.replaced(sequences=names, calibration=None)
    return {"sweep": {**sweep, "input": names[0]}, "quantisation": own}


def check(asked: Quantisation, config: SweepConfig, local: LocalModel) -> None:
    """Raise UsageError for what cannot be quantised, calibrated on or judged."""
    check_kind(local)
    check_classes(local.model)
    for source in (*asked.sequences, *filter(None, [asked.calibration])):
        inputs_of(local, config, source)[0].check()


def run(scenario: Scenario, folder: Path, original: Path, progress: Watcher) -> SweepOutcome:
    """Make and judge the versions, sweep the first that is quantised, and leave the tables.

    ``original`` is the run folder of the original's sweep. Raises SplitbedError.
    """
    config, asked = scenario.config(), scenario.quantisation
    assert asked is not None
    with local_model(config) as local:
        progress.note(f"quantising {local.model.name}")
        every = versions(local, config, asked, folder)
        progress.note(f"judging {', '.join(one.name for one in every)}")
        found = precision(local, every, {
            source: inputs_of(local, config, source)[: config.accuracy_frames]
            for source in asked.sequences
        })  # fmt: skip
    own = config.replaced(weights=every[1].file)
    with prepared(own) as ready:
        outcome = swept(own, ready, folder / QUANTISED_FOLDER, progress)
    if not outcome.rows:
        return outcome
    runs = {every[0].name: original, every[1].name: outcome.folder}
    return outcome.then(
        "tables of the clause",
        lambda: leave(folder, every, found, {one: read_folder(run) for one, run in runs.items()}),
    )


def precision(
    local: LocalModel, every: Sequence[Version], fed: Mapping[str, Sequence[ModelInput]]
) -> Precision:
    """What each version reaches on each sequence; the first is what the others are held against."""
    info = local.model.info

    def results(session: PartSession, inputs: Sequence[ModelInput]) -> dict[int, Tensors]:
        return {place: info.result_of(session.run(one.tensors)) for place, one in enumerate(inputs)}

    with ExitStack() as stack:
        sessions = {
            one.name: stack.enter_context(
                PartSession(one.file, info.inputs, info.outputs, (), local.threads, info.runtime)
            )
            for one in every
        }
        found = {}
        for source, inputs in fed.items():
            made = {name: results(session, inputs) for name, session in sessions.items()}
            judge = Judge(local.model, made[every[0].name], inputs)
            found[source] = {name: judge.judge(one) for name, one in made.items()}
        return found
