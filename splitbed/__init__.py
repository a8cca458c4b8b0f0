"""What both nodes and the orchestrator share."""

import os

# An instrument reports to nobody but its user: ONNX Runtime's telemetry is off before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
