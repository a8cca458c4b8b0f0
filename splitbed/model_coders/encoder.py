"""The test encoder of clause 5.2: model data in, a bitstream out, block by block.

tensor ──> block ──> stages ──> the link
                        └─────> decoded again ──> sha256, which the decoder checks its own by
"""

from collections.abc import Iterator

import numpy as np

from splitbed.codecs.stage import Array
from splitbed.errors import NodeError
from splitbed.model_coders import ModelCoder, coder_named
from splitbed.model_coders.bitstream import LENGTH, SKELETON_CODER, Header, bound
from splitbed.model_coders.blocks import blocks_of, refuse_nan
from splitbed.model_coders.prune import Preparing
from splitbed.model_data.digest import raw, tensor_hash
from splitbed.model_data.file import ModelFile
from splitbed.tensors import TensorInfo

MOST_BLOCK_BYTES = 2**32 - 1


def encode(model: ModelFile, coder: ModelCoder, *, base: str = "") -> Iterator[bytes]:
    """The bitstream of ``model``, in pieces: each may be sent before the next is made.

    ``base`` is the digest of the state that this is an update of.

    Raises:
        UsageError: the coder cannot take a tensor.
        NodeError: it cannot encode what is in one: NaN; what is infinite, where it rounds.
    """
    for named in coder.stages:
        if isinstance(named.kind, Preparing):
            model = named.kind.prepared(model, named.parameter)
    header = Header(coder, base, model.layout)
    yield header.pack()
    skeleton = np.frombuffer(model.skeleton, np.uint8)
    yield from _record(header.skeleton, skeleton, coder_named(SKELETON_CODER))
    for info in header.tensors:
        yield from _record(info, model.state[info.name], coder)


def _record(info: TensorInfo, array: Array, coder: ModelCoder) -> Iterator[bytes]:
    values, rebuilt = np.asarray(array, order="C").reshape(-1), tensor_hash(info)
    for block in blocks_of(info):
        part = values[block.first : block.end]
        refuse_nan(info.name, part)
        ours = bound(coder, block)
        tensors = {info.name: part.reshape(block.info.shape)}
        coded = ours.encode(tensors)
        if not coder.lossless:
            tensors = ours.decode(coded)
        rebuilt.update(raw(tensors[info.name]))
        data = raw(coded[info.name])
        if data.nbytes > MOST_BLOCK_BYTES:
            raise NodeError(f"a row of {info.name} takes {data.nbytes} bytes, over 4 GB")
        yield LENGTH.pack(data.nbytes) + data
    yield rebuilt.digest()
