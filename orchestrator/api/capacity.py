"""How much a pair carries, for programs."""

from collections.abc import Callable
from pathlib import Path
from typing import Unpack

from orchestrator.api.options import Names, Place
from orchestrator.api.options.words import CapacityWords
from orchestrator.api.progress import Follower, Step
from orchestrator.api.signature import spelled_out
from orchestrator.api.torch_model import ModelLike, model_file
from orchestrator.capacity.asked import capacity_or_resumed
from orchestrator.capacity.run import CapacityOutcome, run_capacity


@spelled_out(CapacityWords)
def capacity(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    slo: Names | None = None,
    drop_rate: str | None = None,
    seconds: float | None = None,
    within: float | None = None,
    resume: Place | None = None,
    progress: Callable[[Step], None] | None = None,
    **options: Unpack[CapacityWords],
) -> CapacityOutcome:
    """Find the highest rate, or number of UEs, at which all holds that must.

    `slo` is what must, as "e2e_p99<100ms", or a list of such; `resume` the folder of a search to go
    on with, which takes no others. Its `record.rows` are those of capacity.csv; what stopped it
    is raised, and what was measured is in its folder. `orchestrate capacity` says more.
    """
    own = {
        "slo": [slo] if isinstance(slo, str) else slo,
        "drop_rate": drop_rate,
        "seconds": seconds,
        "within": within,
    }
    folder = None if resume is None else Path(resume)
    wanted = capacity_or_resumed(model_file(model, example_inputs), folder, options, own)
    follower = Follower(progress)
    with follower.raising():
        outcome = run_capacity(wanted, follower, folder)
    if outcome.stopped is not None:
        go_on = f"go on with splitbed.capacity(resume={str(outcome.folder)!r})"
        outcome.stopped.add_note(f"what was measured is in {outcome.folder}; {go_on}")
        raise outcome.stopped
    return outcome
