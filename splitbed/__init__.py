"""What both nodes and the orchestrator share; and the door to all of it for programs.

    import splitbed

    run = splitbed.sweep("shapesnet", bw=20)
    run.verdict, run.best(bw=20), run.to_pandas(), run.plot()

The door is opened when it is used: nodes, which import this too, never see the orchestrator.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.api.capacity import capacity
    from orchestrator.api.clients import loadgen, serve
    from orchestrator.api.infer import infer
    from orchestrator.api.models import grow, increments, model_sweep
    from orchestrator.api.plan import plan
    from orchestrator.api.profile import profile
    from orchestrator.api.progress import Step
    from orchestrator.api.run import Frame, Run, open_run
    from orchestrator.api.sweep import follow, sweep

__all__ = [
    "Frame",
    "Run",
    "Step",
    "capacity",
    "follow",
    "grow",
    "increments",
    "infer",
    "loadgen",
    "model_sweep",
    "open_run",
    "plan",
    "profile",
    "serve",
    "sweep",
]

# An instrument reports to nobody but its user: ONNX Runtime's telemetry is off before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_DOOR = {
    "Frame": "run",
    "Run": "run",
    "Step": "progress",
    "capacity": "capacity",
    "follow": "sweep",
    "grow": "models",
    "increments": "models",
    "infer": "infer",
    "loadgen": "clients",
    "model_sweep": "models",
    "open_run": "run",
    "plan": "plan",
    "profile": "profile",
    "serve": "clients",
    "sweep": "sweep",
}
"""Name -> the module of the orchestrator's API that has it."""


if not TYPE_CHECKING:  # who checks types sees the names above, and no others

    def __getattr__(name: str) -> object:
        if name not in _DOOR:
            raise AttributeError(f"module 'splitbed' has no attribute {name!r}")
        return getattr(import_module(f"orchestrator.api.{_DOOR[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
