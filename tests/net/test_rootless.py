"""An ordinary user gets a link too, through a user namespace."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import netem

NOBODY = 65534


def as_nobody(argv: list[str], tun_mode: str) -> "subprocess.CompletedProcess[str]":
    """``argv`` as an ordinary user who may read our files; all of it in a mount namespace."""
    tun = f"mknod -m {tun_mode} /mnt/tun c 10 200; mount --bind /mnt/tun /dev/net/tun"
    user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    home = ["env", "HOME=/mnt/home", "TMPDIR=/mnt/home", "PYTHONDONTWRITEBYTECODE=1"]
    script = "\n".join(
        [
            "set -e",
            "mount -t tmpfs -o mode=1777,dev tmpfs /mnt",
            "mkdir -m 0777 /mnt/home",
            tun,
            *_readable([sys.base_prefix, sys.prefix, str(Path(netem.__file__).parents[1])]),
            f"exec {shlex.join([*user, *home, *argv])}",
        ]
    )
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _readable(folders: list[str]) -> list[str]:
    """Lines that show ``folders`` again where a closed folder above (as /root) hides them."""
    closed = sorted({str(closed) for folder in folders if (closed := _closed_above(folder))})
    hidden = [folder for folder in folders if _closed_above(folder)]
    keep = [f"mkdir /mnt/{i}; mount --rbind '{f}' /mnt/{i}" for i, f in enumerate(hidden)]
    hide = [f"mount -t tmpfs -o mode=0755 tmpfs '{folder}'" for folder in closed]
    show = [f"mkdir -p '{f}'; mount --rbind /mnt/{i} '{f}'" for i, f in enumerate(hidden)]
    return [*keep, *hide, *show]


def _closed_above(folder: str) -> Path | None:
    outermost_first = reversed(Path(folder).parents)
    return next((p for p in outermost_first if not p.stat().st_mode & 1), None)


@pytest.fixture(autouse=True)
def _machine(backend: str) -> None:
    del backend  # only for its skip
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    if not Path("/dev/net/tun").exists():
        pytest.skip("needs /dev/net/tun")
    probe = as_nobody(["unshare", "--user", "--map-root-user", "--net", "true"], "0666")
    if probe.returncode:
        pytest.skip(f"needs user namespaces for ordinary users: {probe.stderr.strip()}")


PROVE = [sys.executable, "-m", "netem.cli", "prove", "--rate-mbit", "20", "--delay-ms", "10"]


def test_an_ordinary_user_proves_a_link() -> None:
    done = as_nobody(PROVE, "0666")
    assert done.returncode == 0, done.stderr
    assert "uplink" in done.stdout


CHOSEN = {
    **{"changes_nothing": 1, "inside_an_end": 1, "thread_opens": 1, "two_links": 1},
    **{"killed_parent_leaves": 3, "a_closed_link": 1},
}
"""Words of the names of tests, and how many tests have each."""


def test_what_holds_for_root_holds_for_an_ordinary_user() -> None:
    here = Path(__file__)
    tests = [str(here.with_name(f"test_{name}.py")) for name in ("in_process", "lifetime")]
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    pytest_ += ["-k", " or ".join(CHOSEN)]
    done = as_nobody([*pytest_, *tests], "0666")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(CHOSEN.values())} passed" in done.stdout
    assert "skipped" not in done.stdout


SWEEP = """
import sys
from pathlib import Path
import splitbed
from tests.node.loopback import small_model
from tests.shared_machine import blames_the_machine
home = Path.home()
model = small_model(home / "small.onnx")
out = home / "run"
run = splitbed.sweep(
    model, split="3:3", bw=20, runs=3, profile=False, delivery=False, out=out
)
assert (out / "report.html").exists()
print([row.split for row in run.rows], *run.verdict.reasons)
assert all(map(blames_the_machine, run.verdict.reasons))
"""


def test_an_ordinary_users_program_sweeps() -> None:
    done = as_nobody([sys.executable, "-c", SWEEP], "0666")
    assert done.returncode == 0, done.stderr
    assert "3:3" in done.stdout


def test_a_tun_node_that_is_closed_to_the_user_is_named_with_its_repair(backend: str) -> None:
    if backend != "linkbox":
        pytest.skip("only the link box needs TAPs")
    done = as_nobody(PROVE, "0600")
    assert done.returncode == 3
    assert "chmod 0666 /dev/net/tun" in done.stderr
    assert "Traceback" not in done.stderr
