"""A sweep for programs: started with the words of the command line, followed, and had as a Run."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Unpack

from orchestrator.api.asking import config_of
from orchestrator.api.options import Place
from orchestrator.api.options.words import SweepWords
from orchestrator.api.progress import Follower, Step
from orchestrator.api.run import Run
from orchestrator.api.signature import spelled_out
from orchestrator.api.torch_model import ModelLike, model_file
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure import sweep as measuring
from orchestrator.measure.sweep import Remeasure
from orchestrator.measure.watcher import Watcher
from orchestrator.reports.html import leave_report
from orchestrator.results.judgement.verdict import SweepOutcome
from orchestrator.results.kinds import CAPACITY
from splitbed.errors import UsageError


@spelled_out(SweepWords)
def sweep(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    config: Place | None = None,
    resume: Place | None = None,
    remeasure: Remeasure | None = None,
    on: str | None = None,
    progress: Callable[[Step], None] | None = None,
    **options: Unpack[SweepWords],
) -> Run:
    """Measure every split over every link, both anchors included; `orchestrate sweep` says more.

    `model` is the NAME of a model of the zoo, a FILE, or a `torch.nn.Module`, which is exported to
    ONNX with its `example_inputs`. `config` is a YAML file of options, which those given here
    replace; `resume` the folder of a run to go on with, which takes no others but
    `remeasure="invalid"`: its INVALID cells are measured again. `on` names the
    machines that measure it, as `--on` does. `progress` is called with every :class:`Step`; what it
    raises ends the sweep.

    A run that came to its end is given back, whatever its verdict. What stopped one is raised once
    all is cleaned up, with a note on how to go on: UsageError, MachineError, RunError, or
    KeyboardInterrupt for Ctrl-C.
    """
    again = remeasured(remeasure, resume)
    wanted = config_or_resumed(model_file(model, example_inputs), config, resume, options)
    follower = Follower(progress)
    with follower.raising():
        outcome = run_sweep(wanted, follower, Path(resume) if resume else None, again, on)
    if outcome.stopped is not None:
        where = f", on={on!r}" if on else ""
        go_on = f"go on with splitbed.sweep(resume={str(outcome.folder)!r}{where})"
        outcome.stopped.add_note(f"what was measured is in {outcome.folder}; {go_on}")
        raise outcome.stopped
    return Run(outcome.folder)


@spelled_out(SweepWords)
def follow(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    config: Place | None = None,
    resume: Place | None = None,
    remeasure: Remeasure | None = None,
    on: str | None = None,
    **options: Unpack[SweepWords],
) -> Iterator[Step]:
    """Every step of a sweep as it happens; the last one's `folder` is for `open_run`.

    Asked, and raising, as :func:`sweep`. Who ends the loop early ends the sweep, and all is
    cleaned up.
    """
    steps, left = SimpleQueue[Step | None](), Event()

    def hand_over(step: Step) -> None:
        if left.is_set():
            raise KeyboardInterrupt
        steps.put(step)

    with ThreadPoolExecutor(1, "sweep") as pool:
        sweeping = pool.submit(
            sweep,
            model,
            example_inputs=example_inputs,
            config=config,
            resume=resume,
            remeasure=remeasure,
            on=on,
            progress=hand_over,
            **options,
        )
        sweeping.add_done_callback(lambda _: steps.put(None))
        try:
            while (step := steps.get()) is not None:
                yield step
        finally:
            left.set()
        sweeping.result()


def config_or_resumed(
    model: Place | None, config: Place | None, resume: Place | None, options: Mapping[str, object]
) -> SweepConfig:
    """What a sweep is asked for, or was, where one is gone on with. Raises UsageError."""
    if resume is None:
        return config_of(model, options, config)
    if model is not None or config is not None or options:
        given = [f"--{one.replace('_', '-')}" for one in options]
        raise UsageError(
            "--resume goes on with the options of that run: give no others"
            + (f", as {', '.join(given)}" if given else "")
        )
    if CAPACITY.is_in(Path(resume)):
        raise UsageError(
            f"{resume} is a run of `orchestrate capacity`: go on with "
            f"`orchestrate capacity --resume {resume}`"
        )
    return measuring.read_config(Path(resume))


def remeasured(remeasure: str | None, resume: Place | None) -> Remeasure | None:
    """Which cells of a run are measured again; UsageError for others, and without a run."""
    if remeasure is None:
        return None
    if resume is None:
        raise UsageError("--remeasure takes cells of a run that is there: give --resume RUN, too")
    if remeasure != "invalid":
        raise UsageError(f"cannot choose {remeasure!r} cells: give --remeasure invalid")
    return "invalid"


def run_sweep(
    wanted: SweepConfig,
    watcher: Watcher,
    resumed: Path | None = None,
    remeasure: Remeasure | None = None,
    on: str | None = None,
) -> SweepOutcome:
    """Run it, or go on with it, and leave its report; the outcome says what stopped it, if any.

    Here, or on the machines that `on` names. Raises SplitbedError for what stops it before the
    first cell.
    """
    # plans take a while to import, and few sweeps are on many machines
    if on is not None:
        from orchestrator.fleet.named import fleet_named
        from orchestrator.fleet.run import run_on

        measured = run_on(fleet_named(on), wanted, watcher, resumed, remeasure)
    else:
        from orchestrator.plan.forecasts import forecasts

        measured = measuring.run(wanted, watcher, resumed, remeasure, forecasts)
    outcome = leave_report(measured)
    for line in outcome.unfinished:
        watcher.note(line)
    return outcome
