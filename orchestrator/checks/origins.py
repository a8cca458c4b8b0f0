"""What two runs were made of: models, inputs, options, which have to be the same; and machines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.results.facts import Conditions, InputFacts
from orchestrator.results.records import RunRecord

NOT_COMPARED = (
    "out", "topology", "link_backend", "frame_timeout_s",
    "out_dir", "data_dir", "unique_tag", "workers", "disable_progress_bar", "enc_cfg_file_name",
    "model", "input", "weights", "calibration", "model_name", "data_set_name",
)  # fmt: skip
"""Options that are each side's own; the last six are compared by what they lead to."""


class Measured(Protocol):
    """A run as far as it is told here."""

    @property
    def run(self) -> RunRecord:
        """What was asked, of which model, where."""

    @property
    def calibration(self) -> Sequence[InputFacts]:
        """What codecs were calibrated on."""


Fact = tuple[str, tuple[str, ...]]
"""What it is, and both values in words; nothing where they are the same."""


def facts(a: Measured, b: Measured) -> Iterator[Fact]:
    """Models, inputs, what codecs were calibrated on, and options."""
    first, second = a.run.model, b.run.model
    for name in ("sha256", "md5", "bytes", "runtime"):
        yield _equal(f"model {name}", getattr(first, name), getattr(second, name))
    inputs = [_inputs(first.inputs), _inputs(second.inputs)]
    if len(inputs[0]) != len(inputs[1]):
        yield "inputs", (f"{len(inputs[0])} and {len(inputs[1])} of them",)
    else:
        for place, (one, other) in enumerate(zip(*inputs, strict=True)):
            yield _equal(f"input {place}", one, other)
    truths = [
        facts.dataset.truth.sha256 if facts.dataset and facts.dataset.truth else None
        for facts in (first, second)
    ]
    if any(truths):
        yield _equal("ground truth sha256", *truths)
    yield _equal("calibration", _inputs(a.calibration), _inputs(b.calibration))
    usual = SweepConfig.model_construct(model="").model_dump(mode="json")
    asked = [{**usual, **reading.run.asked} for reading in (a, b)]
    for name in sorted(asked[0].keys() | asked[1].keys()):
        if name not in NOT_COMPARED and asked[0].get(name) != asked[1].get(name):
            yield _equal(f"option {name}", asked[0].get(name), asked[1].get(name))


def tables(a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Fact]:
    """The sha256 of what codecs were fitted to, of each cut, stage and tensor that both have."""
    for name in sorted(a.keys() & b.keys()):
        yield _equal(f"tables of {name} sha256", a[name], b[name])


def _equal(what: str, a: object, b: object) -> Fact:
    return what, () if a == b else (f"{a} and {b}",)


def _inputs(listed: Sequence[InputFacts]) -> list[str]:
    """Each by its hashes; a seeded one by its name."""
    return [
        f"sha256 {one.sha256} md5 {one.md5} frame {one.frame or 0}" if one.sha256 else one.name
        for one in listed
    ]


def same_machines(a: Measured, b: Measured) -> bool:
    """Whether both nodes of B have the processors of A's."""
    return _processors(a.run.conditions) == _processors(b.run.conditions)


def _processors(facts: Conditions) -> list[tuple[str | None, int | None]]:
    return [(node.cpu, node.cpus) for node in (facts.ue, facts.edge)]


def versions(a: Measured, b: Measured) -> Iterator[tuple[str, str, str]]:
    """Versions and machines, side by side."""
    sides = [_flat(reading.run.conditions) for reading in (a, b)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        yield name, sides[0].get(name, "–"), sides[1].get(name, "–")


def _flat(facts: Conditions) -> dict[str, str]:
    names = ("git_commit", "python", "os", "link_backend")
    flat = {name: str(getattr(facts, name)) for name in names}
    for side, node in (("ue", facts.ue), ("edge", facts.edge)):
        flat[f"{side} cpu"] = f"{node.cpu}, {node.cpus} CPUs"
        flat |= {f"{side} {name}": version for name, version in node.packages.items()}
    return flat
