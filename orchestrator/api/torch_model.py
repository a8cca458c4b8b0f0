"""A module of torch as a model: exported to ONNX, on the way into a run."""

import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, cast

from orchestrator.api.options import Place
from orchestrator.results.run_folder import runs_folder
from splitbed.errors import MachineError, UsageError

EXPORTED = "models"
"""Where exported models stay, beside runs, so that one can be gone on with, and packed."""


class TorchModule(Protocol):
    """A `torch.nn.Module`."""

    training: bool

    def state_dict(self) -> object:
        """Its weights."""


ModelLike = Place | TorchModule


def model_file(model: ModelLike | None, example_inputs: object = None) -> Place | None:
    """The NAME or FILE itself; of a module, the file that it was exported to.

    `example_inputs` are a tensor, or a tuple of them, of the shapes that it is to be run with.
    Raises UsageError for what cannot be exported, MachineError where the extra `torch` is missing.
    """
    if model is None or isinstance(model, str | Path):
        if example_inputs is not None:
            raise UsageError("example_inputs are for a torch.nn.Module: a NAME or FILE has its own")
        return model
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        raise UsageError(
            f"a {type(model).__name__} is no model: give a NAME, a FILE or a torch.nn.Module"
        )
    if example_inputs is None:
        raise UsageError(
            f"the module {type(model).__name__} says no shapes: give example_inputs=(tensor, …)"
        )
    if find_spec("onnxscript") is None:
        raise MachineError(
            f"cannot export {type(model).__name__}: torch needs onnxscript for that, which is not "
            "installed; repair: pip install 'splitbed[torch]'"
        )
    inputs = example_inputs if isinstance(example_inputs, tuple | list) else (example_inputs,)
    return _kept(_exported(model, tuple(inputs)), type(model).__name__)


def _exported(model: TorchModule, inputs: tuple[object, ...]) -> bytes:
    import torch

    module = cast("torch.nn.Module", model)
    modes = [(one, one.training) for one in module.modules()]
    with TemporaryDirectory(prefix="splitbed-export-") as folder:
        file = Path(folder) / "model.onnx"
        try:
            module.eval()
            torch.onnx.export(module, inputs, str(file), external_data=False, verbose=False)
        except Exception as error:  # whatever the module's own code raises, too
            why = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UsageError(
                f"cannot export {type(model).__name__} to ONNX: {why}; export it yourself with "
                "torch.onnx.export, and give the FILE"
            ) from error
        finally:
            for one, training in modes:
                one.training = training
        return file.read_bytes()


def _kept(exported: bytes, name: str) -> Path:
    file = runs_folder() / EXPORTED / f"{name}-{hashlib.sha256(exported).hexdigest()[:12]}.onnx"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(exported)
    except OSError as error:
        raise UsageError(f"cannot write the exported model {file}: {error.strerror}") from None
    return file
