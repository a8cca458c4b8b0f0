"""Transformer layers as ONNX nodes, of rows: one for each frame or token.

Names of weights are those of torchaudio's ``wav2vec2`` encoder. There is one sequence at a time, so
that every matrix is kept as a state dict has it, and read by Gemm.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx

from splitbed.zoo.onnx_writer import OnnxWriter

EPSILON = 1e-5
ATTENTION = ("k_proj", "v_proj", "q_proj", "out_proj")
LAST = "/Unsqueeze"
"""The node that puts out what the model does."""

Shape = tuple[int, ...]


class TransformerNodes:
    """Adds node after node; methods take and give names of tensors.

    ``output`` is the model's own. ``norm_first`` has each layer normalise what it reads, else what
    it adds up to.
    """

    def __init__(self, width: int, heads: int, output: str, *, norm_first: bool) -> None:
        self.norm_first = norm_first
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[np.generic]] = {
            "first": np.array([0]),
            "heads": np.array([-1, heads, width // heads]),
            "rows": np.array([-1, width]),
            **{
                name: np.array(value, np.float32)
                for name, value in (
                    ("half", 0.5), ("one", 1), ("sqrt_2", 2**0.5),
                    ("scale", (width // heads) ** -0.5),
                )
            },
        }  # fmt: skip
        self._writer = OnnxWriter(lambda node: output if node == LAST else f"{node}_output_0")

    def layer(self, name: str, x: str, mask: str | None = None) -> str:
        """A layer of attention and of what each row is made into by itself.

        ``mask`` is added to what rows are to each other.
        """
        before, after, first = f"{name}.layer_norm", f"{name}.final_layer_norm", self.norm_first
        mixed = self._attention(f"{name}.attention", self.norm(before, x) if first else x, mask)
        x = self.node("Add", path(name, "Add_1"), x, mixed)
        if not first:
            x = self.norm(before, x)
        forward = self.norm(after, x) if first else x
        forward = self.linear(f"{name}.feed_forward.intermediate_dense", forward)
        forward = self.gelu(f"{name}.feed_forward", forward)
        forward = self.linear(f"{name}.feed_forward.output_dense", forward)
        x = self.node("Add", path(name, "Add_2"), x, forward)
        return x if first else self.norm(after, x)

    def _attention(self, name: str, x: str, mask: str | None) -> str:
        q, k, v = (
            self.node("Reshape", path(f"{name}.{row}", "Reshape"),
                      self.linear(f"{name}.{row}", x), "heads")
            for row in ("q_proj", "k_proj", "v_proj")
        )  # fmt: skip
        q = self.node("Mul", path(name, "Mul"), q, "scale")
        q = self.node("Transpose", path(f"{name}.q_proj", "Transpose"), q, perm=[1, 0, 2])
        k = self.node("Transpose", path(f"{name}.k_proj", "Transpose"), k, perm=[1, 2, 0])
        v = self.node("Transpose", path(f"{name}.v_proj", "Transpose"), v, perm=[1, 0, 2])
        odds = self.node("MatMul", path(name, "MatMul_1"), q, k)
        if mask is not None:
            odds = self.node("Add", path(name, "Add"), odds, mask)
        odds = self.node("Softmax", path(name, "Softmax"), odds, axis=-1)
        mixed = self.node("MatMul", path(name, "MatMul_2"), odds, v)
        mixed = self.node("Transpose", path(name, "Transpose"), mixed, perm=[1, 0, 2])
        mixed = self.node("Reshape", path(name, "Reshape"), mixed, "rows")
        return self.linear(f"{name}.out_proj", mixed)

    def linear(self, name: str, x: str) -> str:
        """Each row through a matrix."""
        return self.node("Gemm", path(name, "Gemm"), x, f"{name}.weight", f"{name}.bias", transB=1)

    def norm(self, name: str, x: str) -> str:
        """Over the last axis; ``name`` with or without ``.layer_norm``."""
        name = name if name.endswith("layer_norm") else f"{name}.layer_norm"
        node = path(name, "LayerNormalization")
        return self.node(
            "LayerNormalization", node, x, f"{name}.weight", f"{name}.bias", epsilon=EPSILON
        )

    def gelu(self, name: str, x: str) -> str:
        """The exact one, as nodes that ONNX Runtime makes one of."""
        bent = self.node("Div", path(name, "Div"), x, "sqrt_2")
        bent = self.node("Erf", path(name, "Erf"), bent)
        bent = self.node("Add", path(name, "Add"), bent, "one")
        bent = self.node("Mul", path(name, "Mul"), x, bent)
        return self.node("Mul", path(name, "Mul_1"), bent, "half")

    def put_out(self, rows: str) -> None:
        """Rows as what the model puts out, of a batch of 1."""
        self.node("Unsqueeze", LAST, rows, "first")

    def node(self, kind: str, name: str, *inputs: str, **attributes: object) -> str:
        """Any node of one output."""
        made = self._writer.node(kind, name, *inputs, **attributes)
        self.nodes.append(made)
        return made.output[0]


def layer_shapes(name: str, width: int, inner: int) -> Iterator[tuple[str, Shape]]:
    """Every tensor of the state dict of a layer, in the network's order."""
    for row in ATTENTION:
        yield from linear_shapes(f"{name}.attention.{row}", width, width)
    yield from norm_shapes(f"{name}.layer_norm", width)
    yield from linear_shapes(f"{name}.feed_forward.intermediate_dense", width, inner)
    yield from linear_shapes(f"{name}.feed_forward.output_dense", inner, width)
    yield from norm_shapes(f"{name}.final_layer_norm", width)


def linear_shapes(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, Shape]]:
    """Those of a matrix."""
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def norm_shapes(name: str, channels: int) -> Iterator[tuple[str, Shape]]:
    """Those of a normalisation."""
    yield f"{name}.weight", (channels,)
    yield f"{name}.bias", (channels,)


def path(module: str, kind: str) -> str:
    """The name of a node of a module, as an exporter gives it."""
    return f"/{module.replace('.', '/')}/{kind}"
