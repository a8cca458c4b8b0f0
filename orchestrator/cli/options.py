"""The options of commands that are not of a group: those that say what becomes of the answer."""

from typing import Annotated

import typer

MODEL = "NAME (orchestrate models) or FILE (.onnx, .tflite)."


def option(words: str, heading: str | None = None, *, least: float | None = None) -> object:
    """An option that is told in these words, its default among them; a number of that at least."""
    return typer.Option(help=words, min=least, show_default=False, rich_help_panel=heading)


Model = Annotated[str | None, option(MODEL, "Model")]
Frames = Annotated[
    int | None, typer.Option(help="Of a dataset or video, at most.", min=1, show_default=False)
]
Images = Annotated[
    str | None, option("Picture, video, FOLDER or dataset (orchestrate datasets).", "Input")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Metrics = Annotated[str | None, option("IP:PORT where Prometheus is told of it, 127.0.0.1:9100.")]
Otlp = Annotated[str | None, option("HTTP address of a collector of traces.")]
