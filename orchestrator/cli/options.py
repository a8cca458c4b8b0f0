"""The options that commands of `orchestrate` share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orchestrator.ask.config import SweepConfig

MODEL = "NAME (orchestrate models) or FILE (.onnx, .tflite)."


def option(words: str) -> Any:
    """An option that is told in these words, its default among them."""
    return typer.Option(help=words, show_default=False)


Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Input = Annotated[str | None, option("Picture, video, FOLDER or dataset (orchestrate datasets).")]
Frames = Annotated[
    int | None, typer.Option(help="Of a dataset or video, at most.", min=1, show_default=False)
]
Model = Annotated[str | None, option(MODEL)]
Split = Annotated[str | None, option("As for sweep. [all]")]
Weights = Annotated[Path | None, option("Trained weights, a FILE.")]
Width = Annotated[float | None, option("Multiplier of the channels (posenet). [1]")]
Runtime = Annotated[str | None, option("onnx or tflite. [the model's usual]")]
Shape_ = Annotated[str | None, option("Fixes dynamic inputs: NAME=1x3x300x300,…")]
Task = Annotated[str | None, option("Of a FILE: classification, image, tensors … [tensors]")]
Seed = Annotated[int | None, option("Of weights and made-up inputs. [0]")]
Threads = Annotated[int | None, option("0: all CPUs. [0]")]
Topology = Annotated[Path | None, option("YAML like those in topologies/. [pair.yaml]")]
Metrics = Annotated[str | None, option("IP:PORT where Prometheus is told of it, 127.0.0.1:9100.")]
Otlp = Annotated[str | None, option("HTTP address of a collector of traces.")]


def asked(context: typer.Context, *own: str, **fixed: Any) -> "SweepConfig":
    """The options that a command shares with sweep, `own` being those that it does not."""
    from orchestrator.ask.config import sweep_config

    given = {k: v for k, v in context.params.items() if v is not None and k not in own}
    return sweep_config({**fixed, **given})
