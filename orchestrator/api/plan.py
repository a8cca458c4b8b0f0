"""The best split over every link, predicted from one profile, for programs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Unpack

from orchestrator.api.asking import config_of
from orchestrator.api.options import Numbers, Place
from orchestrator.api.options.words import PlanWords
from orchestrator.api.progress import Follower, Step
from orchestrator.api.signature import spelled_out
from orchestrator.api.torch_model import ModelLike, model_file
from orchestrator.plan.doubt.limits import plan_limits
from orchestrator.plan.grid import grid
from orchestrator.plan.run import PlanOptions, PlanOutcome, run_plan


@spelled_out(PlanWords)
def plan(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    bw: Numbers = "1:1000",
    delay: Numbers = "0:50",
    ue_slowdown: Numbers = "1",
    profile: Place | None = None,
    ue_profile_csv: Place | None = None,
    learn: Sequence[Place] = (),
    max_drop: float | None = None,
    verify: int = 0,
    slo: str | Sequence[str] = (),
    progress: Callable[[Step], None] | None = None,
    **options: Unpack[PlanWords],
) -> PlanOutcome:
    """Predict the best split over every link from one profile; `orchestrate plan` says more.

    `bw` in Mbit/s, `delay` in ms and `ue_slowdown` are ranges FROM:TO or FROM:TO:COUNT, or lists.
    `profile` is the folder of an earlier run, `ue_profile_csv` what TFLite's `benchmark_model` told
    of another UE, `learn` folders of runs whose errors make the intervals, `max_drop` the accuracy
    that a codec may cost, `verify` the links to measure where it is closest, of which `progress` is
    told. With a model of the UE's `power`, the least energy is planned, too, of what is sure to
    keep `slo`, as "e2e_p95<200ms". Raises UsageError, MachineError and RunError.
    """
    wanted = PlanOptions(
        grid(*map(_words, (bw, delay, ue_slowdown))),
        None if profile is None else Path(profile),
        verify,
        None if ue_profile_csv is None else Path(ue_profile_csv),
        tuple(Path(folder) for folder in learn),
        plan_limits(slo),
    )
    follower = Follower(progress)
    with follower.raising():
        config = config_of(model_file(model, example_inputs), options)
        if max_drop is not None:
            config = config.replaced(max_drop=max_drop)
        return run_plan(config, wanted, follower)


def _words(numbers: Numbers) -> str:
    if isinstance(numbers, str | int | float):
        return str(numbers)
    return ",".join(map(str, numbers))
