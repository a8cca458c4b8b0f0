"""What clause 2 asks of results, as sentences: who measured what, on which machines."""

from collections.abc import Sequence

from orchestrator.checks.verify import NOT_KEPT
from orchestrator.results.facts import Conditions, InputFacts, ModelFacts, NodeFacts
from splitbed.zoo import ZOO

NAMED_INPUTS = 4  # those beyond stand in run.json


def conditions(
    facts: Conditions, model: ModelFacts, verdict: Sequence[str], times: str
) -> list[str]:
    """The sentences; ``verdict`` are words of what was judged, ``times`` says how times are."""
    versions = [f"{name} {number}" for name, number in facts.edge.packages.items()]
    first, *reasons = verdict
    found = [
        f"Measured {facts.started or 'at a time that was not kept'} with Splitbed, commit "
        f"{facts.git_commit or 'not known'}. {first}",
        *reasons,
        f"UE: {_node(facts.ue)}; edge: {_node(facts.edge)}; {facts.os or 'system not kept'}, "
        f"Python {facts.python or NOT_KEPT}. Versions: {', '.join(versions) or NOT_KEPT}.",
        f"Anchor model: {_title(model)}, weights: {model.weights}, sha256 "
        f"{model.sha256 or NOT_KEPT}, md5 {model.md5 or NOT_KEPT}.",
        _inputs(model.inputs),
        times,
        *facts.warnings,
    ]
    if model.weights.startswith("seeded"):
        found.append(
            "The weights are seeded, not trained: times and sizes hold, accuracies and what codecs "
            "cost of them do not."
        )
    return [*found, "Note: these results have not yet been cross-checked."]


def _node(facts: NodeFacts) -> str:
    cpus = "?" if facts.cpus is None else facts.cpus
    return f"{facts.cpu or 'processor not kept'}, {cpus} CPUs"


def _title(model: ModelFacts) -> str:
    return f"{model.name} ({ZOO[model.name].title})" if model.name in ZOO else model.name


def _inputs(inputs: Sequence[InputFacts]) -> str:
    named = [f"{one.name} (sha256 {one.sha256 or NOT_KEPT})" for one in inputs[:NAMED_INPUTS]]
    more = [f"and {left} more, in run.json"] if (left := len(inputs) - len(named)) > 0 else []
    return f"Inputs: {', '.join(named + more) or NOT_KEPT}."
