"""What a machine does with an order: sees whether it is fit, has the files, measures.

order ──> the same Splitbed? room? privileges? ──> files ──> a process: an ordinary sweep
answer, and the run's archive <──────────────────────────────────┘
"""

import json
import os
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.checks.pack import pack
from orchestrator.fleet.host import Host
from orchestrator.fleet.order import Answer, Build, Order, this_build
from orchestrator.fleet.parcels import Fetch, cached, missing_bytes, unpacked
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.site import checked_site
from splitbed.ending import PYTHON, WITH_US
from splitbed.errors import MachineError, SplitbedError, UsageError
from splitbed.node.host import cpu_name

LEAST_FREE_BYTES = 1 << 30
"""On a machine's disks, beside the files that are still to come: a run, and its scratch."""
_SAID_BYTES = 2000


def answered(text: bytes, fetch: Fetch) -> tuple[bytes, bytes]:
    """An answer to an order as JSON, and the archive of what was measured, if anything was.

    Raises MachineError where this machine has no name.
    """
    host = Host.here()
    answer = Answer(
        machine=host.name,
        cpu=cpu_name() or "",
        cpus=len(os.sched_getaffinity(0)),
        holds=host.holds,
    )

    def told(archive: bytes = b"", **more: object) -> tuple[bytes, bytes]:
        return replace(answer, **more).json().encode(), archive

    # before anything else of the order is read, which another version may write otherwise
    if why := _other_build(Build.from_plain(json.loads(text)["build"])):
        return told(unfit=(why,))
    order = Order.from_json(text)
    try:
        if _no_room(order, host):
            host.prune(0)
        if why := _no_room(order, host):
            return told(unfit=(why,))
        with host.using():
            asked = order.asked_with(partial(unpacked, folder=host.folder, fetch=fetch))
            checked_site(sweep_config(asked), several=True)
            if order.looks:
                return told()
            with host.locked() as lock:
                stopped, archive = measured(order, asked, host, lock, fetch)
        return told(archive, stopped=stopped)
    except (SplitbedError, OSError) as error:
        return told(unfit=(str(error),))


def measured(
    order: Order, asked: dict[str, object], host: Host, lock: int, fetch: Fetch
) -> tuple[str, bytes]:
    """Why it was stopped, if it was, and the archive of the run, if there is any.

    What was begun here is gone on with, unless this machine has become another since. Raises
    MachineError and OSError for what the machine lacks.
    """
    group = host.group(order.key)
    run, began = group / "run", (group / "run").exists()
    stopped = _swept(order, asked, group, lock, host, fetch)
    if isinstance(stopped, UsageError) and began:
        shutil.rmtree(run)
        stopped = _swept(order, asked, group, lock, host, fetch)
    if isinstance(stopped, MachineError):
        raise stopped
    if not RunFolder(run).exists:
        return str(stopped or "nothing was measured"), b""
    (archive := group / "run.zip").unlink(missing_ok=True)
    try:
        return str(stopped or ""), pack(
            run, archive, with_model=False, with_input=False
        ).read_bytes()
    finally:
        archive.unlink(missing_ok=True)


def _swept(
    order: Order, asked: dict[str, object], group: Path, lock: int, host: Host, fetch: Fetch
) -> SplitbedError | None:
    """Sweep in a process of its own; what stopped it, by the kind that its exit code tells."""
    run = group / "run"
    if not run.exists():
        shutil.rmtree(draft := group / "draft", ignore_errors=True)
        draft.mkdir()
        for name, blob in order.seeds.items():
            (target := draft / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(cached(blob, host.folder, fetch), target)
        draft.rename(run)
    told = {"asked": asked, "run": str(run), "remeasure": order.remeasure}
    done = subprocess.run(
        [*WITH_US, *PYTHON, "-m", "orchestrator.fleet.group"],
        input=json.dumps(told),
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        errors="replace",
        pass_fds=[lock],  # it is held until that process is gone
        env=_environment(),
        check=False,
    )
    said = done.stderr.strip()[-_SAID_BYTES:].rpartition("\n")[2]
    said = said.removeprefix("error: ") or f"it ended by {done.returncode}"
    kinds = {kind.exit_code: kind for kind in (SplitbedError, UsageError, MachineError)}
    return kinds.get(done.returncode, SplitbedError)(said) if done.returncode else None


def _environment() -> dict[str, str]:
    """As a sweep has it that was started by hand: Ray gives its workers one thread each."""
    own = ("RAY_", "OMP_NUM_THREADS", "SLURM_", "SUBMITIT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def _other_build(wanted: Build) -> str:
    if wanted.code == (own := this_build()).code:
        return ""
    same = " with other modules" if own.words == wanted.words else ""
    return (
        f"it has Splitbed {own.words}{same}, and the sweep is by {wanted.words}: what either "
        "measures is not the same; install that there"
    )


def _no_room(order: Order, host: Host) -> str:
    blobs = {one.sha256: one for parcel in order.parcels for one in parcel.files.values()}
    host.folder.mkdir(parents=True, exist_ok=True)
    needed = {host.folder: LEAST_FREE_BYTES + missing_bytes(blobs, host.folder)}
    needed |= {Path(tempfile.gettempdir()): LEAST_FREE_BYTES}
    for folder, nbytes in needed.items():
        if (free := shutil.disk_usage(folder).free) < nbytes:
            return (
                f"{folder} has {free / 1e9:.1f} GB left, and {nbytes / 1e9:.1f} GB are needed: "
                "make room there"
            )
    return ""
