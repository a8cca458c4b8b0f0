"""A model sweep: every coder here, then over every link; a row of ``results.csv`` for each.

results.csv   a row per coder and link      CODER.bit, CODER.onnx   bitstream, rebuilt model
cells.jsonl   a line per delivery           coders.jsonl            a line per coder
models.json   what was asked, of which model, on which machines
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.conditions import coded_facts
from orchestrator.results.archive import sha256_of
from orchestrator.results.facts import ModelFacts
from orchestrator.results.kinds import MODEL_SWEEP, TransitRecord, read_transit_record
from orchestrator.results.run_folder import RunFolder, check_free, create
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.site import Site, checked_site
from orchestrator.testbed.testbed import testbed
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.asked import ModelSweep
from orchestrator.transit.crossing import Crossing
from orchestrator.transit.delivery import row_of
from orchestrator.transit.evaluation import Evaluation, named
from orchestrator.transit.journal import Journal, Layout
from orchestrator.transit.outcome import Outcome, Told
from orchestrator.transit.published import Scenario, scenario_named
from orchestrator.transit.row import ModelRow, results_csv
from splitbed.checked import one_line
from splitbed.errors import UsageError
from splitbed.model_coders.published import is_class
from splitbed.model_data import ModelFile, read_model

MODELS = Layout(MODEL_SWEEP, ModelRow, row_of, results_csv)


def run_model_sweep(
    asked: ModelSweep,
    told: Told,
    resumed: Path | None = None,
    local: LocalModel | None = None,
    go_on: str = "",
) -> Outcome[ModelRow]:
    """Measure what is asked, or go on with it in the folder ``resumed``; `told` is told what is on.

    ``local`` is the model, where it is open already; ``go_on`` the command that goes on with what
    was stopped, where it is not this one. Raises SplitbedError.
    """
    if asked.out_dir and resumed is None:
        check_free(asked.out_dir)
    kept = partial(_kept, asked, told, resumed, go_on)
    if asked.config is None:
        with named(asked.scenario_name):
            scenario = scenario_named(asked.scenario_name)(asked.options(asked.coder_name[0]))
            scenario.download_data_and_models()
        return kept(scenario, ModelFacts(name=asked.model_name))
    crosses = not asked.offline and asked.eval_compression
    site = checked_site(asked.config) if crosses else None
    if site:
        site = replace(site, model_coders=tuple(filter(is_class, asked.coder_name)))
    with ExitStack() as stack:
        local = local or stack.enter_context(local_model(asked.config))
        own = AnchorScenario(local, asked.config, asked.workers, asked.batch_size)
        over_links = partial(_over_links, asked, told, site, local, own) if site else None
        return kept(own, local.model.facts, over_links)


def _kept(
    asked: ModelSweep,
    told: Told,
    resumed: Path | None,
    go_on: str,
    scenario: Scenario,
    facts: ModelFacts,
    over_links: Callable[[Journal[ModelRow], Mapping[str, Path]], None] | None = None,
) -> Outcome[ModelRow]:
    """Measure into a folder, new or not, and give what it then has."""
    if asked.download_only:
        return Outcome()
    stem = Path(asked.model_name).stem or asked.scenario_name
    folder = RunFolder(resumed) if resumed else create(asked.out_dir, f"models-{stem}")
    go_on = go_on or f"orchestrate model-sweep --resume {folder.path}"
    with folder.locked(), _begun(folder, asked, facts).going_on(go_on, told) as journal:
        evaluation = Evaluation(asked, scenario, folder)
        # all of it first: what judges here is no burden to what is timed there
        known = {name for name, row in journal.here.items() if not row.fault}
        for row in evaluation.run(told, known):
            journal.add_coder(row)
        if over_links:
            over_links(journal, {name: evaluation.rebuilt(name) for name in journal.here})
        return Outcome(journal.rows, folder.path)


def _begun(folder: RunFolder, asked: ModelSweep, facts: ModelFacts) -> Journal[ModelRow]:
    files = {"have": asked.have, "enc_cfg_file_name": asked.enc_cfg_file_name}
    fresh = TransitRecord(
        asked=asked.model_dump(mode="json"),
        files={name: _sha256(name, file) for name, file in files.items() if file},
        model=facts,
        coded=coded_facts(),
    )
    return Journal.begun(folder, MODELS, fresh, asked.unique_tag)


def _sha256(name: str, file: Path) -> str:
    try:
        return sha256_of(file)
    except OSError as error:
        option = f"--{name.replace('_', '-')}"
        raise UsageError(f"{option} {file}: it cannot be read ({error.strerror})") from None


def resumed_sweep(folder: Path) -> ModelSweep:
    """What the model sweep in a folder was asked. UsageError where that cannot be told."""
    asked = dict(read_transit_record(folder, MODEL_SWEEP).asked)
    try:
        if config := asked.get("config"):
            assert isinstance(config, Mapping)
            asked["config"] = sweep_config({k: v for k, v in config.items() if v is not None})
        return ModelSweep.model_validate(asked)
    except (ValidationError, AssertionError) as error:
        told = one_line(error) if isinstance(error, ValidationError) else "its config is none"
        raise UsageError(
            f"cannot resume {folder}: its {MODEL_SWEEP.asked_file} is damaged: {told}"
        ) from None


def _have(file: Path, anchor: Path) -> ModelFile:
    """What the UE has already; UsageError where it is of another form than the model."""
    if file.suffix != anchor.suffix:
        raise UsageError(f"--have {file}: the model is {anchor.suffix}, so give such a file")
    return read_model(file)


def _over_links(
    asked: ModelSweep,
    told: Told,
    site: Site,
    local: LocalModel,
    scenario: AnchorScenario,
    journal: Journal[ModelRow],
    files: Mapping[str, Path],
) -> None:
    """Deliver every coder over every link, but for those that failed here."""
    have = _have(asked.have, scenario.path) if asked.have else None
    with testbed(site, local.model, scenario.config.flow_links) as bed:
        crossing = Crossing(bed, scenario, journal, have)
        for name, row in journal.here.items():
            if row.fault:
                continue
            told(f"sending {row.model_name} as {name}")
            crossing.run(name, files[name], asked.runs)
        crossing.again(files, told)
