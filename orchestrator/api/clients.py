"""A pair that is kept up for whoever has frames, for programs: clients, MLPerf LoadGen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Unpack

from orchestrator.api.asking import config_of
from orchestrator.api.options.words import ClientWords
from orchestrator.api.progress import Follower, Step
from orchestrator.api.signature import spelled_out
from orchestrator.api.torch_model import ModelLike, model_file
from orchestrator.clients.loadgen.asked import LoadgenAsked
from orchestrator.clients.loadgen.run import LoadgenOutcome, run
from orchestrator.clients.serve import Served, served


@spelled_out(ClientWords)
@contextmanager
def serve(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    infer: str | None = None,
    progress: Callable[[Step], None] | None = None,
    **options: Unpack[ClientWords],
) -> Iterator[Served]:
    """A pair that clients of the Open Inference Protocol ask, inside `with`.

    They find it at its `address`, which is `infer` where that is given, by the name `model`;
    `wait()` waits for them until Ctrl-C, or for so many seconds. Behind it, `verdict` says whether
    the link was as asked. `orchestrate serve` says more. Raises UsageError, MachineError and
    NodeError.
    """
    follower = Follower(progress)
    with (
        follower.raising(),
        served(config_of(model_file(model, example_inputs), options), infer, follower) as pair,
    ):
        yield pair


@spelled_out(ClientWords)
def loadgen(
    model: ModelLike | None = None,
    *,
    example_inputs: object = None,
    scenario: str = LoadgenAsked.scenario,
    target_qps: float = LoadgenAsked.target_qps,
    latency_ms: float = LoadgenAsked.latency_ms,
    duration_s: float = LoadgenAsked.duration_s,
    queries: int = LoadgenAsked.queries,
    samples_per_query: int = LoadgenAsked.samples_per_query,
    samples: int = 3,
    progress: Callable[[Step], None] | None = None,
    **options: Unpack[ClientWords],
) -> LoadgenOutcome:
    """Have MLPerf LoadGen ask a split; `orchestrate loadgen` says more.

    The `record` of what comes back has the percentiles of both, `verdict` whether they agree.
    Raises UsageError, MachineError and NodeError.
    """
    asked = LoadgenAsked(scenario, target_qps, latency_ms, duration_s, queries, samples_per_query)
    follower = Follower(progress)
    with follower.raising():
        config = config_of(model_file(model, example_inputs), options | {"runs": samples})
        return run(config, asked, follower)
