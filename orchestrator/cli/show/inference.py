"""What was found in pictures, as `orchestrate infer` prints it."""

import json
from collections.abc import Mapping
from pathlib import Path

from orchestrator.api.infer import Inference
from orchestrator.offline.infer import as_lists
from orchestrator.reports.terminal import Line, rounded, show_lines
from orchestrator.results.records import Accuracy
from splitbed.command import say
from splitbed.tasks.transcripts import transcript


def show_inference(found: Inference, model: str, places: Mapping[str, Path | None]) -> None:
    """What was found in each picture, and how good that is; `places` say where files of it are."""
    lines: list[Line] = []
    for name, results in found.results.items():
        counts: Line = {
            key: transcript(results) if key == "transcript" else len(array) if array.ndim else 1
            for key, array in results.items()
        }
        drawn = found.drawn[name]
        lines.append({"input": name, **counts, "drawn": "" if drawn is None else drawn})
    show_lines(lines, as_json=False)
    if found.precision:
        show_lines([{**found.precision}], as_json=False)
    if found.accuracy:
        _show_accuracy(found.accuracy)
    told = "".join(f"; {what}: {place}" for what, place in places.items() if place)
    say(f"{model}, weights: {found.weights}{told}")


def inference_json(found: Inference) -> str:
    """The same as JSON."""
    results = {
        name: as_lists(tensors)
        | ({"transcript": transcript(tensors)} if "transcript" in tensors else {})
        for name, tensors in found.results.items()
    }
    one = found.accuracy
    accuracy = one and {**one.more, "classes": one.classes}
    answer = {"weights": found.weights, "results": results, "precision": found.precision}
    return json.dumps(answer | {"accuracy": accuracy}, indent=2)


def _show_accuracy(accuracy: Accuracy) -> None:
    show_lines([rounded(accuracy.more)], as_json=False)
    classes: list[Line] = [
        {"class": label, "AP": "not annotated" if ap is None else f"{ap:.4f}"}
        for label, ap in accuracy.classes.items()
    ]
    if classes:
        show_lines(classes, as_json=False)
