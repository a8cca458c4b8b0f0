"""Coders as the published scripts have them (clause 2.1.2.5): classes, named ``MODULE:CLASS``.

    model ─encode─> file_names["bit"] ─▲─ link ─▼─ file_names["bit"] ─decode─> rec_model

What crosses is a bitstream of ours that carries theirs, and the form of the model that it is of.
"""

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike

from splitbed.errors import NodeError, SplitbedError, UsageError
from splitbed.model_coders import DUMMY, coder_named
from splitbed.model_coders.bitstream import START, Header, header_bytes, unpacked
from splitbed.model_coders.decoder import MOST_BYTES, Decoder
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.rebuilding import Rebuilt
from splitbed.model_data import model_of
from splitbed.model_data.digest import digest
from splitbed.model_data.file import Array, ModelFile, written
from splitbed.model_data.state import StateModel
from splitbed.tensors import NUMPY_TYPES

_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_FORM, _SKELETON, _BITSTREAM = "form", "skeleton", "bitstream"
"""What a bitstream carries of a model, and of theirs."""


class Model(Protocol):
    """A model with named tensors."""

    def state_dict(self) -> Mapping[str, ArrayLike]:
        """Its tensors by name; whoever writes into one changes the model."""

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> object:
        """Have these instead."""


@dataclass
class Options:
    """What is forwarded to scenarios and coders: the parameters of Table 2.1.2.2-1, S and C.

    A coder has ``file_names["bit"]``, the bitstream, ``file_names["dec"]``, the decoded model, and
    the scenario besides.  One that decodes on a UE has its name and these files, and nothing else.
    """

    coder_name: str
    scenario_name: str = ""
    data_set_name: str = ""
    model_name: str = ""
    enc_cfg_file_name: str | None = None
    unique_tag: str = ""
    data_dir: str = "."
    batch_size: int = 1
    workers: int = 0
    disable_progress_bar: bool = True
    file_names: dict[str, str] = field(default_factory=dict)
    scenario: object = None


class Coder(Protocol):
    """A coder of model data (Figure 2.1.2.5-1)."""

    def encode(self, model: Model) -> None:
        """Write the tensors of ``model`` to the file ``opts.file_names["bit"]``."""

    def decode(self, rec_model: Model) -> None:
        """Read that file into the tensors of ``rec_model``."""


class CoderKind(Protocol):
    """The class of a coder."""

    def __call__(self, opts: Options) -> Coder:
        """One that is configured so."""


def is_class(name: str) -> bool:
    """Whether a name is that of a class, ``MODULE:CLASS``."""
    return _CLASS.fullmatch(name) is not None


def coder_class(name: str) -> CoderKind:
    """The coder's class ``MODULE:CLASS``. Raises UsageError."""
    return cast(CoderKind, loaded(name, "coder", ("encode", "decode")))


def loaded(name: str, what: str, needs: tuple[str, ...]) -> object:
    """The class ``MODULE:CLASS``, which has what it needs. Raises UsageError."""
    module, _, word = name.partition(":")
    if str(Path.cwd()) not in sys.path:  # as for scripts that are started where they lie
        sys.path.append(str(Path.cwd()))
    try:
        found: object = getattr(importlib.import_module(module), word)
    except Exception as error:  # a user's module may raise anything
        raise UsageError(f"cannot import the {what} {name}: {error}") from error
    if missing := [one for one in needs if not hasattr(found, one)]:
        raise UsageError(f"{name} is no {what} of clause 2.1.2: it lacks {', '.join(missing)}")
    return found


def carrying(model: ModelFile, bitstream: Path) -> Iterator[bytes]:
    """What crosses, in pieces: the form of ``model``, and the ``bitstream`` that was made of it.

    Raises NodeError where that cannot be read.
    """
    try:
        theirs = np.fromfile(bitstream, np.uint8)
    except OSError as error:
        raise NodeError(
            f"cannot send the bitstream {bitstream}: {error.strerror}; have it made again, in a run"
            " of its own"
        ) from error
    form = Header(coder_named(DUMMY), "", model.layout).pack()
    carried: dict[str, Array] = {
        _FORM: np.frombuffer(form, np.uint8),
        _SKELETON: np.frombuffer(model.skeleton, np.uint8),
        _BITSTREAM: theirs,
    }
    return encode(model_of(carried), coder_named(DUMMY))


class Carried:
    """Takes what :func:`carrying` makes, in pieces cut anywhere; then the class decodes theirs.

    Every method raises NodeError for what is damaged or foreign, or of a model over ``most_bytes``.
    """

    def __init__(
        self, name: str, file: BinaryIO, files: Mapping[str, Path], *, most_bytes: int = MOST_BYTES
    ) -> None:
        """The model is written to ``file``; ``files`` are ``bit`` and ``dec``, for the class."""
        self._name, self._file, self._files = name, file, files
        self._most_bytes = most_bytes
        self._kind = coder_class(name)
        self._decoder = Decoder(most_bytes=most_bytes)

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        self._decoder.feed(data)

    def finish(self) -> Rebuilt:
        """What the class made of it, once all is there."""
        names = {which: str(file) for which, file in self._files.items()}
        model = self._model()
        try:
            self._kind(Options(self._name, file_names=names)).decode(model)
        except (SplitbedError, MemoryError):  # who ran it says how much it may have
            raise
        except Exception as error:  # a user's class may raise anything
            told = f"{type(error).__name__}: {error}"
            raise NodeError(f"{self._name} failed to decode: {told}") from error
        made = model.file
        sha256 = written(made, self._file)
        self._file.flush()
        return Rebuilt(digest(made.state), sha256, made.nbytes)

    def _model(self) -> StateModel:
        """One of the form that is told, all zeros; theirs is in the file ``bit`` then."""
        told = self._decoder.finish().state
        if told.keys() != {_FORM, _SKELETON, _BITSTREAM}:
            raise NodeError(f"the bitstream carries none of {self._name}: it is another coder's")
        form = told[_FORM].tobytes()
        start, packed = form[: START.size], form[START.size :]
        if len(start) < START.size or header_bytes(start) != len(packed):
            raise NodeError("the bitstream does not say of which model it is: it is damaged")
        layout, skeleton = unpacked(packed).layout, told[_SKELETON].tobytes()
        if len(skeleton) != layout.skeleton_bytes or layout.nbytes > self._most_bytes:
            raise NodeError(
                f"the bitstream is of a model of {layout.nbytes} bytes, and there is room for"
                f" {self._most_bytes}; or it is damaged"
            )
        told[_BITSTREAM].tofile(self._files["bit"])
        infos = [place.info for place in layout.places]
        zeros = {info.name: np.zeros(info.shape, NUMPY_TYPES[info.datatype]) for info in infos}
        return StateModel(ModelFile(layout, skeleton, zeros))
