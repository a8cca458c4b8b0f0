"""Where a model begins to choose among what it found: the best boxes, the likeliest class.

What is chosen moves in jumps: where a score rises a little, nothing changes, or another box has the
first place.  What it is chosen from moves smoothly.
"""

from splitbed.graphs.graph import Graph

CHOOSING_OPS = {
    "ArgMax", "ArgMin", "Compress", "NonMaxSuppression", "NonZero", "TopK", "Unique",
    "ARG_MAX", "ARG_MIN", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "TOPK_V2",
    "TFLite_Detection_PostProcess",
}  # fmt: skip
"""Of ONNX, and of TFLite."""


def before_choice(graph: Graph, k: int) -> int:
    """The last cut behind cut ``k`` that no choice is made before; the end where there is none.

    It is the end, too, where the choice comes first, or its cut cannot be crossed.
    """
    for layer in graph.layers[k:]:
        if not CHOOSING_OPS.isdisjoint(layer.op.split("+")):
            chosen = graph.cuts[layer.index]
            return layer.index if layer.index > k and chosen.crossable else graph.n
    return graph.n
