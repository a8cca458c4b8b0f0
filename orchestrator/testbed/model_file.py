"""The file of a model: one that the zoo builds, or the user's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.ask.sweep.config import SweepConfig
from splitbed.errors import UsageError
from splitbed.graphs.apart import check_file
from splitbed.graphs.formats import format_of, load_graph
from splitbed.graphs.graph import Graph
from splitbed.runtime import RUNTIMES
from splitbed.zoo import ZOO, AnchorModel, Variant, anchor_model, checkpoints


def load_graph_of(config: SweepConfig, folder: Path) -> tuple[Graph, AnchorModel | None]:
    """The graph alone, and the anchor model that it is of; the zoo's weights are not drawn for it.

    Raises UsageError for an unknown model, a file that is none, and weights that do not fit.
    """
    file, _, anchor = model_file(config, folder, seed=None)
    return graph_of(file, config, anchor), anchor


def graph_of(file: Path, config: SweepConfig, anchor: AnchorModel | None) -> Graph:
    """The graph of a model's file, which is a stranger's unless the zoo built it.

    Inputs of open sizes measure what `--shape` says, else what the zoo has them measure. Raises
    as :func:`load_graph_of`.
    """
    shapes = config.shape or (anchor.shape if anchor else None) or None
    if anchor is None or whole_model(config, anchor) is not None:
        return strangers_graph(file, shapes)
    _check_length(config, anchor)
    return load_graph(file, shapes)


def _check_length(config: SweepConfig, anchor: AnchorModel) -> None:
    most = anchor.most_tokens
    for name, sizes in config.shape.items():
        if most and sizes and sizes[-1] > most:
            raise UsageError(
                f"--shape {name}={'x'.join(map(str, sizes))}: {anchor.name} takes up to {most} "
                f"tokens at once: give {name}=1x{most} at most; of a longer text there are "
                "several frames"
            )


def strangers_graph(file: Path, shapes: Mapping[str, Sequence[int]] | None) -> Graph:
    """The graph of the user's own file; UsageError for one that is none."""
    check_file(file, shapes)
    return load_graph(file, shapes)


def model_file(
    config: SweepConfig, folder: Path, seed: int | None
) -> tuple[Path, str, AnchorModel | None]:
    """The model's file, what its weights are, and the anchor model that it is of.

    A model of the zoo is built in ``folder``, of ``seed`` as in :class:`splitbed.zoo.Variant`,
    unless its weights are in a model file that takes its place. Raises as :func:`load_graph_of`.
    """
    path = Path(config.model)
    if config.model in ZOO or not (path.suffix.lower() in (".onnx", ".tflite") or path.exists()):
        anchor = anchor_model(config.model)
        variant = _variant(config, anchor, seed)
        if (whole := whole_model(config, anchor)) is not None:
            return whole, checkpoints.origin(whole, ()), anchor
        built, weights = anchor.build(variant)
        file = folder / f"{anchor.name}.{variant.format}"
        file.write_bytes(built)
        return file, weights, anchor
    if config.weights or config.width != 1:
        option = f"--weights {config.weights}" if config.weights else f"--width {config.width:g}"
        raise UsageError(f"{option} is for a model of the zoo; {config.model} has its own")
    form = format_of(path)
    if config.runtime and RUNTIMES.named(config.runtime).format != form:
        raise UsageError(f"--runtime {config.runtime} cannot run {path}, which is of format {form}")
    return path, "the file's own", None


def whole_model(config: SweepConfig, anchor: AnchorModel) -> Path | None:
    """The file that ``--weights`` names, where it is a model: quantised, pruned or trained anew.

    Raises UsageError where there is none, or its format is not one of the anchor model's.
    """
    file = config.weights
    if file is None or anchor.reads_graphs or file.suffix.lower() not in (".onnx", ".tflite"):
        return None
    if format_of(file) not in anchor.formats:
        raise UsageError(f"--weights {file}: {anchor.name} comes as {', '.join(anchor.formats)}")
    return file


def _variant(config: SweepConfig, anchor: AnchorModel, seed: int | None) -> Variant:
    runtime = config.runtime or anchor.formats[0]
    model_format = RUNTIMES.named(runtime).format
    if model_format not in anchor.formats:
        raise UsageError(f"--runtime {runtime}: {anchor.name} comes as {', '.join(anchor.formats)}")
    if config.width not in anchor.widths:
        known = ", ".join(f"{width:g}" for width in anchor.widths)
        raise UsageError(f"--width {config.width:g}: {anchor.name} comes in {known}")
    return Variant(model_format, seed, config.weights, config.width)
