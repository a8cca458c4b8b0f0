"""Runs ``.onnx`` files with ONNX Runtime, on the CPU or on another of its execution providers."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnxruntime as ort

from splitbed.errors import NodeError, UsageError
from splitbed.runtime.provider import OWN, Provider, Share, chosen, short
from splitbed.tensors import Tensors
from splitbed.workers.wanted import check_wanted, ended_by

_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
_TELLS_WHO = "session.record_ep_graph_assignment_info"
_CPU = "CPUExecutionProvider"
_CASTS = ("Cast", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
_TYPES = {"uint8": "int8", "int8": "int8", "float16": "fp16", "float": "fp32"}
"""ONNX Runtime's words for types of tensors; a node is of the first of them that it reads."""


def providers() -> Sequence[str]:
    """Execution providers that this ONNX Runtime was built with, the fastest first."""
    return list(ort.get_available_providers())


class OnnxRunner:
    """One file, ready to run; see :class:`splitbed.runtime.session.Runner`."""

    def __init__(
        self,
        file: Path,
        threads: int,
        model: bytes | None = None,
        provider: Provider = OWN,
        profiled: str = "",
    ) -> None:
        """``model`` is what is run in place of the file's content; weights may lie beside that.

        What runs is written down in a file whose name begins as ``profiled``.
        """
        name = chosen(provider, providers(), "ONNX Runtime") if provider.name else _CPU
        if name == _CPU and provider.options:  # it would say nothing of them
            raise UsageError(f"ONNX Runtime's CPU takes no options: give cpu, not {provider}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        # spinning would cost whatever else runs here 10 to 19 %
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        options.add_session_config_entry(_TELLS_WHO, "1")
        if profiled:
            options.enable_profiling, options.profile_file_prefix = True, profiled
        if model is not None:
            options.add_session_config_entry(_WEIGHTS_FOLDER, str(file.parent))
        try:
            # what a provider does not take the CPU has; the fallback is of a whole session, unasked
            asked = [(name, dict(provider.options)), *([_CPU] if name != _CPU else [])]
            self.session = ort.InferenceSession(
                model or file, options, providers=asked, enable_fallback=0
            )
        except Exception as error:  # ONNX Runtime's errors share no other base
            raise UsageError(f"ONNX Runtime cannot run {file}: {reason(error)}") from error
        self.inputs = tuple(info.name for info in self.session.get_inputs())
        self.used = _used(self.session)
        whos = {share.provider for share in self.used}  # nobody where all is constant
        if provider.name and whos and short(name) not in whos:
            raise UsageError(
                f"the provider {provider} took no node of {file.name}: ONNX Runtime would run it "
                "on the CPU. What it needs may be missing (a driver, a library, the device), or it "
                "has none of these operators and types: repair that, or leave the provider"
            )

    def run(self, fed: Tensors, wanted: Sequence[str]) -> Tensors:
        """The tensors ``wanted``; NodeError where ONNX Runtime fails, or nobody waits any more."""
        options = ort.RunOptions()

        def end() -> None:
            options.terminate = True

        try:
            with ended_by(end):
                made = self.session.run(list(wanted), fed, options)
            return dict(zip(wanted, made, strict=True))
        except Exception as error:  # ONNX Runtime's errors share no other base
            check_wanted()
            raise NodeError(
                f"ONNX Runtime failed while running the part: {reason(error)}"
            ) from error


def batch_runner(file: Path, threads: int, provider: Provider = OWN) -> OnnxRunner:
    """A file that is fed several frames, one after another on the first axis."""
    from splitbed.graphs.onnx.batch import open_batch  # few nodes need it, and it takes a while

    return OnnxRunner(file, threads, open_batch(file), provider)


def types_of(file: Path, fed: Tensors, threads: int, provider: Provider = OWN) -> dict[str, int]:
    """How many nodes of a file compute in which type, as a run of it on ``fed`` tells.

    A runtime may compute in another than the file says: it casts then. Those that cast, or change
    between integers and floating point, are counted as ``casts``; those of other types as
    ``other``. Raises as :class:`OnnxRunner`.
    """
    with TemporaryDirectory() as folder:
        runner = OnnxRunner(file, threads, None, provider, profiled=f"{folder}/ran")
        outputs = [one.name for one in runner.session.get_outputs()]
        runner.run({name: fed[name] for name in runner.inputs}, outputs)
        events = json.loads(Path(runner.session.end_profiling()).read_text())
    nodes = (one["args"] for one in events if one["name"].endswith("_kernel_time"))
    return dict(Counter(map(_type, nodes)).most_common())


def _type(node: dict[str, Any]) -> str:
    if node["op_name"] in _CASTS:
        return "casts"
    types = {name for one in node["input_type_shape"] for name in one}
    return next((_TYPES[name] for name in _TYPES if name in types), "other")


def _used(session: Any) -> tuple[Share, ...]:
    """Who took which nodes; of a graph without nodes nobody."""
    ops: dict[str, list[str]] = defaultdict(list)
    for taken in session.get_provider_graph_assignment_info():
        ops[short(taken.ep_name)] += [node.op_type for node in taken.get_nodes()]
    return tuple(Share(who, len(of), tuple(sorted({*of}))) for who, of in ops.items())


def reason(error: Exception) -> str:
    """What ONNX Runtime says, without its codes and the name of a temporary file."""
    return re.sub(
        r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from \S+ failed:)?", "", str(error)
    )
