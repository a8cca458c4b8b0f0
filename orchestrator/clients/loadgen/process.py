"""LoadGen in a process of its own, which can be ended: it takes no word that it is to stop early.

LoadGen ── a line for each query: [[name, input], …] ──> here
        <── 8 bytes for each sample that is done: its name ──
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from struct import Struct
from subprocess import PIPE, Popen
from threading import Thread

from orchestrator.clients.loadgen.asked import LoadgenAsked
from orchestrator.clients.loadgen.system import Sample, SystemUnderTest
from splitbed.ending import PYTHON
from splitbed.errors import RunError

_LOOK_S = 0.2
_NAME = Struct("<Q")
_NO_AUDIT = "/dev/null"
"""LoadGen would take settings from a file of its own in the working folder."""


def drive(
    asked: LoadgenAsked,
    system: SystemUnderTest,
    inputs: int,
    logs: Path,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Let LoadGen ask until it has enough, or a frame has failed; it logs then, or does not.

    `check` may raise what ends it, too. Raises RunError where LoadGen dies.
    """
    told = json.dumps(asdict(asked)), str(inputs), str(logs)
    # a Ctrl-C is the orchestrator's to handle
    argv = [*PYTHON, "-m", __name__, *told]
    with Popen(argv, stdin=PIPE, stdout=PIPE, start_new_session=True) as loadgen:
        taking = Thread(target=_take, args=(loadgen, system))
        taking.start()
        try:
            while taking.is_alive() and system.failed is None:
                taking.join(_LOOK_S)
                check()
        finally:
            if taking.is_alive():
                loadgen.kill()
            taking.join()
            system.end()
    if system.failed is None and loadgen.returncode:
        raise RunError(f"LoadGen died with {loadgen.returncode}: its logs are in {logs}")


def _take(loadgen: "Popen[bytes]", system: SystemUnderTest) -> None:
    """What LoadGen asks for, until it ends."""
    assert loadgen.stdout is not None
    assert loadgen.stdin is not None
    to = loadgen.stdin.fileno()

    def tell(name: int) -> None:
        with suppress(BrokenPipeError):  # it was ended
            os.write(to, _NAME.pack(name))  # at once: several threads tell

    for line in loadgen.stdout:
        if line.endswith(b"\n"):  # or it was ended amid it
            system.issue([Sample(*one) for one in json.loads(line)], tell)


def _ask(asked: LoadgenAsked, inputs: int, logs: str) -> None:
    """In the process of LoadGen: run it, then end."""
    import mlperf_loadgen as loadgen

    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed

    def issue(query: Sequence[Sample]) -> None:
        out.write(json.dumps([[one.id, one.index] for one in query]) + "\n")
        out.flush()

    def told() -> None:
        for name in _names():
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(name, 0, 0)])
        os._exit(1)  # who asked is gone

    Thread(target=told, daemon=True).start()
    written, settings = loadgen.LogOutputSettings(), loadgen.LogSettings()
    written.outdir, written.copy_summary_to_stdout = logs, False
    settings.log_output, settings.enable_trace = written, False
    under_test = loadgen.ConstructSUT(issue, lambda: None)
    library = loadgen.ConstructQSL(inputs, inputs, _keep, _keep)
    loadgen.StartTestWithLogSettings(under_test, library, asked.settings(), settings, _NO_AUDIT)
    os._exit(0)  # `out` closes no sooner: then who asked leaves


def _names() -> Iterator[int]:
    """Of samples that are done, until nobody is left who tells."""
    while told := os.read(0, 512 * _NAME.size):  # which never has part of one: see tell
        for (name,) in _NAME.iter_unpack(told):
            yield name


def _keep(_samples: Sequence[int]) -> None:
    """All inputs are on the node of their source, from before the first frame to the end."""


if __name__ == "__main__":
    _ask(LoadgenAsked(**json.loads(sys.argv[1])), int(sys.argv[2]), sys.argv[3])
