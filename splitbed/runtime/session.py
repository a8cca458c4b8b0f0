"""A session that runs a part, with a runtime of the format of its file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from splitbed.errors import NodeError, UsageError
from splitbed.media.pictures import random_inputs
from splitbed.runtime import RUNTIMES, Runner, runtime_on
from splitbed.runtime.provider import OWN, Provider, Share
from splitbed.runtime.trial import Asked, tried
from splitbed.tensors import NUMPY_TYPES, TensorInfo, Tensors
from splitbed.workers.wanted import check_wanted


class PartSession:
    """Runs one part: ``inputs`` go in, ``outputs`` come out, by name.

    A file that is not known is tried elsewhere before (:mod:`splitbed.runtime.trial`).
    Outputs named in ``passthrough`` are handed on as they came; without a ``part_file`` nothing
    else may be asked for.  ``threads`` compute, in a run only; 0 are as many
    as this process may use.  ``runtime`` is a key of :data:`splitbed.runtime.RUNTIMES`, as a rule
    the file's suffix; on a ``provider`` the outputs are held against the runtime's own.  Raises
    UsageError for a file that its runtime refuses, and for a provider that it has not or that
    computes otherwise, MachineError where that is not installed.
    """

    def __init__(
        self,
        part_file: Path | None,
        inputs: Sequence[TensorInfo],
        outputs: Sequence[TensorInfo],
        passthrough: Sequence[str] = (),
        threads: int = 1,
        runtime: str | None = None,
        provider: Provider = OWN,
    ) -> None:
        self.inputs = tuple(inputs)
        self._outputs = tuple(tensor.name for tensor in outputs)
        self.made = tuple(tensor for tensor in outputs if tensor.name not in passthrough)
        """What is computed of its outputs."""
        self._computed = [tensor.name for tensor in self.made]
        self.threads = threads or len(os.sched_getaffinity(0))
        self.provider = provider
        self.off: float | None = None
        """How far its outputs are from the runtime's own; None where that was not asked."""
        self._runner = self._opened(part_file, runtime) if part_file else None

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs for ``tensors``, in order.

        Raises NodeError where names, datatypes or shapes differ from the inputs', before running,
        and where the runtime fails.
        """
        self.check(tensors)
        computed: Tensors = {}
        if self._computed:
            if self._runner is None:
                raise NodeError("cannot run the part: its session is closed")
            fed = {name: tensors[name] for name in self._runner.inputs}
            computed = self._runner.run(fed, self._computed)
        return self.in_order(computed, tensors)

    def in_order(self, computed: Tensors, tensors: Tensors) -> Tensors:
        """The outputs, of what was computed of ``tensors``, and of these."""
        return {
            name: computed[name] if name in computed else tensors[name] for name in self._outputs
        }

    def warm(self, runs: int, fed: Tensors | None = None) -> None:
        """Run ``runs`` times on ``fed``, made-up inputs where None, while somebody waits for it.

        Maps the weights in, and fills the allocator's arena.
        """
        fed = self.made_up() if fed is None else fed
        for _ in range(runs):
            check_wanted()
            self.run(fed)

    def made_up(self) -> Tensors:
        """Inputs of the right datatypes and shapes that mean nothing: noise, 0 or 1 as indices."""
        return random_inputs([info.least for info in self.inputs], seed=0)

    @property
    def computes(self) -> bool:
        """Whether it does more than hand its inputs on."""
        return self._runner is not None

    @property
    def used(self) -> Sequence[Share]:
        """Who computes how many nodes of its graph; nobody where its runtime does not tell."""
        used: Sequence[Share] = getattr(self._runner, "used", ())
        return used

    def close(self) -> None:
        """Free the session."""
        self._runner = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self, tensors: Tensors) -> None:
        """NodeError where names, datatypes or shapes differ from the inputs'."""
        expected = {info.name: info for info in self.inputs}
        if tensors.keys() != expected.keys():
            raise NodeError(
                f"the part takes the tensors {sorted(expected)}, but got {sorted(tensors)}"
            )
        for name, info in expected.items():
            got, dtype = tensors[name], np.dtype(NUMPY_TYPES[info.datatype])
            if got.dtype != dtype or not info.fits(TensorInfo(name, info.datatype, got.shape)):
                raise NodeError(
                    f"the part takes {name!r} as {dtype} {list(info.shape)}, but got "
                    f"{got.dtype} {list(got.shape)}"
                )

    def _opened(self, file: Path, runtime: str | None) -> Runner:
        name = runtime or file.suffix[1:]
        if name not in RUNTIMES:
            raise UsageError(
                f"no runtime here runs {file} as {name!r}: there are {', '.join(RUNTIMES)}"
            )
        opens = runtime_on(name, self.provider).load()
        asked = Asked(str(file), self.inputs, self.made, self.threads, name, provider=self.provider)
        self.off = tried(asked)
        return opens(file, self.threads)
