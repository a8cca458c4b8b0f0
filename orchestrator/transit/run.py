"""A model sweep: every coder here, then over every link; a row of ``results.csv`` for each.

results.csv   a row per coder and link      CODER.bit, CODER.onnx   bitstream, rebuilt model
cells.jsonl   what nodes and proofs said    models.json             what was asked
conditions.json                             machines, versions
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netem.spec import LinkSpec
from orchestrator.results.run_folder import RunFolder, check_free, create
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.site import Site, checked_site
from orchestrator.testbed.testbed import Testbed, testbed
from orchestrator.transit.anchor import AnchorScenario
from orchestrator.transit.asked import ModelSweep
from orchestrator.transit.crossing import Crossing
from orchestrator.transit.evaluation import Evaluation, named
from orchestrator.transit.published import is_class, scenario_named
from orchestrator.transit.row import ModelRow, kept, results_csv

RESULTS_FILE, ASKED_FILE = "results.csv", "models.json"
Told = Callable[[str], None]


@dataclass(frozen=True)
class ModelOutcome:
    """The rows of a model sweep, and the folder with its files; None where nothing was measured."""

    rows: Sequence[ModelRow] = ()
    folder: Path | None = None

    @property
    def exit_code(self) -> int:
        """0 where all went well."""
        return 0 if all(row.valid for row in self.rows) else 1


def run_model_sweep(asked: ModelSweep, told: Told) -> ModelOutcome:
    """Measure what is asked; `told` is told what goes on. Raises SplitbedError."""
    if asked.out_dir:
        check_free(asked.out_dir)
    config = asked.config
    with ExitStack() as stack:
        if config is None:
            with named(asked.scenario_name):
                scenario = scenario_named(asked.scenario_name)(asked.options(asked.coder_name[0]))
                scenario.download_data_and_models()
            return _written(
                asked,
                lambda folder: _kept(asked, folder, Evaluation(asked, scenario, folder).run(told)),
            )
        crosses = not asked.offline and asked.eval_compression
        site = checked_site(config) if crosses else None
        local = stack.enter_context(local_model(config))
        own = AnchorScenario(local, config, asked.workers)

        def rows(folder: RunFolder) -> Sequence[ModelRow]:
            evaluation = Evaluation(asked, own, folder)
            # all of it first: what judges here is no burden to what is timed there
            here = _kept(asked, folder, evaluation.run(told))
            if site is None:
                return here
            with_files = [(row, evaluation.rebuilt(row.coder_name)) for row in here]
            begun = partial(Crossing, scenario=own, folder=folder)
            over = _over_links(with_files, site, local, config.flow_links, begun, told)
            return _kept(asked, folder, over, here)

        return _written(asked, rows)


def _written(asked: ModelSweep, measure: Callable[[RunFolder], Sequence[ModelRow]]) -> ModelOutcome:
    if asked.download_only:
        return ModelOutcome()
    folder = create(asked.out_dir, f"models-{Path(asked.model_name).stem or asked.scenario_name}")
    folder.replace(ASKED_FILE, asked.model_dump_json(indent=2))
    return ModelOutcome(measure(folder), folder.path)


def _kept(
    asked: ModelSweep,
    folder: RunFolder,
    rows: Iterator[ModelRow],
    before: Sequence[ModelRow] = (),
) -> Sequence[ModelRow]:
    """The rows, in the folder as they come; until then those `before`."""

    def keep(known: Sequence[ModelRow]) -> None:
        folder.replace(f"{asked.unique_tag}{RESULTS_FILE}", results_csv(known))

    return kept(rows, keep, before)


def _over_links(
    here: Sequence[tuple[ModelRow, Path]],
    site: Site,
    local: LocalModel,
    links: Sequence[Sequence[LinkSpec]],
    begun: Callable[[Testbed], Crossing],
    told: Told,
) -> Iterator[ModelRow]:
    """The rows over every link; of what failed here, or is decoded here alone, the row itself."""
    with testbed(site, local.model, links) as bed:
        crossing = begun(bed)
        for row, rebuilt in here:
            if row.fault:
                yield row
            elif is_class(row.coder_name):
                told(f"{row.coder_name} is decoded here alone: nodes have coders by name")
                yield row
            else:
                told(f"sending {row.model_name} as {row.coder_name}")
                yield from crossing.run(row, rebuilt)
