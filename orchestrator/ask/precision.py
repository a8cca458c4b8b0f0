"""The precision of parts: an axis of a sweep, for UEs and for the nodes of the network each.

A part of another precision than the model's is a file of its own, a version of its layers. It takes
and gives the same tensors: what crosses, and every codec of that, stays as it is.
"""

from dataclasses import dataclass
from itertools import product
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from orchestrator.ask.numbers import comma_list
from orchestrator.ask.topology import kind_of
from splitbed.errors import UsageError
from splitbed.flow import Itinerary
from splitbed.graphs.graph import Graph

FP32: Final = "fp32"
FP16: Final = "fp16"
INT8: Final = "int8"
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "ConvInteger", "MatMulInteger")

Precisions = Annotated[
    tuple[Literal["fp32", "fp16", "int8"], ...], BeforeValidator(comma_list), Field(min_length=1)
]


@dataclass(frozen=True)
class Precision:
    """In what UEs compute, and nodes of the network; fp32 is the model as it is."""

    ue: str = FP32
    edge: str = FP32

    def version(self, node: str) -> str:
        """Which version of its layers a node runs; empty: what is cut from the model."""
        own = getattr(self, kind_of(node))
        return "" if own == FP32 else own

    @property
    def words(self) -> str:
        """As rows have it: ``ue int8, edge fp16``; nothing of fp32."""
        both = {"ue": self.ue, "edge": self.edge}
        return ", ".join(f"{kind} {own}" for kind, own in both.items() if own != FP32)


def precisions(
    stations: Itinerary, of_ue: Precisions, of_edge: Precisions, *, anchor: bool
) -> list[Precision]:
    """Those that are asked for of the nodes that compute at these stations.

    An anchor is measured in fp32, too: it is what all else is held against.
    """
    kinds = {kind_of(one.node) for one in stations if one.first < one.last}
    ue, edge = (
        asked if kind in kinds else (FP32,) for kind, asked in (("ue", of_ue), ("edge", of_edge))
    )
    every = [Precision(*both) for both in product(ue, edge)]
    return list(dict.fromkeys([Precision(), *every] if anchor else every))


def check_convertible(graph: Graph, asked: str) -> None:
    """Raise UsageError for a model whose precision is its file's."""
    why = ""
    if graph.format != "onnx":
        why = f"a file of format {graph.format} computes in what it was made for"
    elif any(layer.op in _QUANTISED or layer.op.startswith("QLinear") for layer in graph.layers):
        why = "its file is quantised already"
    elif any(one.datatype == "FP16" for cut in graph.cuts for one in cut.tensors):
        why = "its file computes in 16 bits already"
    if why:
        raise UsageError(
            f"{asked}: {why}, and parts are made of ONNX files in fp32: leave it, or give such a "
            "model"
        )
