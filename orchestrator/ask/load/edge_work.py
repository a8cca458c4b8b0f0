"""How the edge shares its work among frames, whichever UE they are of.

--edge-workers 2          so many run a part at once
--edge-queue 4            so many of a UE may wait there
--batch max=8,wait=5ms    up to 8 that wait for the same part are run together; the first waits 5 ms
"""

import re
from dataclasses import dataclass

from splitbed.errors import UsageError, shorten

MOST_WORKERS, MOST_BATCH, MOST_WAIT_MS = 64, 256, 1000.0
USUAL_WAIT_MS = 5.0
_BATCH = re.compile(r"max=(\d{1,9})(?:,wait=(\d{1,9}(?:\.\d{1,9})?)(ms|s))?")


@dataclass(frozen=True)
class EdgeWork:
    """``workers`` run a part at once, each on up to ``batch`` frames together.

    The first of them waits ``wait_ms`` for others. Of a UE ``queue`` may wait; None: as at the
    source.
    """

    workers: int = 1
    batch: int = 1
    wait_ms: float = 0.0
    queue: int | None = None

    def check(self, *, offered: bool, several: bool) -> None:
        """UsageError where nothing is shared: no load offers frames, nor are there several UEs."""
        if self.queue is not None and not offered:
            raise UsageError(
                f"--edge-queue {self.queue} is for frames that come while others of their UE are "
                "there, and here each UE has one under way: give it with --load or --in-flight"
            )
        if self != ALONE and not (offered or several):
            raise UsageError(
                "--edge-workers and --batch share the edge among frames, and here one comes at a "
                "time: give them with --ues 4, --load fps:30 or --in-flight 4"
            )


ALONE = EdgeWork()
"""One worker, one frame after another."""


def edge_work(workers: int, batch: str | None, queue: int | None) -> EdgeWork:
    """As it is asked; UsageError for a batch that cannot be."""
    if batch is None:
        return EdgeWork(workers, queue=queue)
    told = _BATCH.fullmatch(batch.replace(" ", ""))
    most = int(told[1]) if told else 0
    wait_ms = float(told[2]) * (1e3 if told[3] == "s" else 1) if told and told[2] else USUAL_WAIT_MS
    if not 2 <= most <= MOST_BATCH or wait_ms > MOST_WAIT_MS:
        raise UsageError(
            f"--batch {shorten(batch)}: 2 to {MOST_BATCH} frames are run together, and the first "
            f"waits up to {MOST_WAIT_MS:g} ms: give max=8,wait=5ms"
        )
    return EdgeWork(workers, most, wait_ms, queue)
