"""A model may be a module of torch."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import splitbed
from orchestrator.api.asking import config_of
from orchestrator.testbed.local import local_model
from splitbed.errors import MachineError, UsageError
from splitbed.wire import max_abs_diff

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("onnxscript") is None,
    reason="needs the extra torch: pip install '.[torch]'",
)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    layers = torch.nn
    return layers.Sequential(
        layers.Conv2d(3, 4, 3), layers.Dropout(0.9), layers.ReLU(), layers.Flatten()
    )


@needs_torch
def test_a_module_is_exported_and_gives_what_torch_gives(module: Any) -> None:
    import torch

    module.train()
    module[1].eval()
    found = splitbed.infer(module, example_inputs=torch.ones(1, 3, 8, 8))
    assert module.training
    assert not module[1].training
    (exported,) = Path("runs/models").iterdir()
    assert exported.name.startswith("Sequential-")
    with local_model(config_of(exported, {})) as local:
        (given,) = local.inputs[0].tensors.values()
    (told,) = found.results.values()
    (output,) = told.values()
    by_torch = module.eval()(torch.from_numpy(given)).detach().numpy()
    assert max_abs_diff({"y": output}, {"y": by_torch}) < 1e-5


@needs_torch
def test_a_module_that_cannot_be_exported_is_told_by_its_name(module: Any) -> None:
    import torch

    with pytest.raises(UsageError, match="cannot export Sequential to ONNX"):
        splitbed.infer(module, example_inputs=torch.ones(1, 5, 8, 8))
    with pytest.raises(UsageError, match="give example_inputs"):
        splitbed.sweep(module)


@needs_torch
def test_what_is_missing_for_an_export_is_named(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.api.torch_model.find_spec", lambda _: None)
    with pytest.raises(MachineError, match="onnxscript"):
        splitbed.plan(module, example_inputs=())


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(UsageError, match="a list is no model"):
        splitbed.sweep([])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"example_inputs are for a torch\.nn\.Module"):
        splitbed.profile("shapesnet", example_inputs=(1,))
