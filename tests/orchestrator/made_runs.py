"""Runs made up to be known: three cells over a link of 8 Mbit/s."""

from pathlib import Path
from typing import Any

from orchestrator.results.run_folder import RunFolder
from tests.orchestrator.results.test_summary import add_cell
from tests.orchestrator.written import write_run

FRAMES_MS = {"0:2": [100.0, 101, 102], "1:1": [50.0, 51, 52], "2:0": [80.0, 81, 82]}
MODEL = {"name": "m", "weights": "the file's own", "sha256": "a" * 64, "md5": "b" * 32}
PICTURE = {"name": "p.png", "source": "here", "sha256": "c" * 64, "md5": "d" * 32}
NODE = {"cpu": "AMD EPYC", "cpus": 2, "packages": {"onnxruntime": "1.32.0"}}


def made_run(
    path: Path, *, scale: float = 1, run: dict[str, Any] | None = None, **changed: Any
) -> RunFolder:
    """A run whose frames take `scale` times as long; `changed` is told of all of its cells."""
    path.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(path)
    told: dict[str, Any] = {
        "asked": {"model": "m.onnx", "bw": [8]},
        "model": MODEL | {"inputs": [PICTURE]},
        "conditions": {"ue": NODE, "edge": NODE, "python": "3.11.7"},
        "verdict": "VALID",
    } | (run or {})
    write_run(folder, **told)
    for split, frames_ms in FRAMES_MS.items():
        sent = {"encoded_bytes": 30_000} | changed
        add_cell(folder, split, [scale * ms for ms in frames_ms], **sent)
    return folder
