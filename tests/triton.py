"""The real tritonclient, in an environment of its own: it wants an older protobuf than ours."""

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from netem.namespace import Namespace
from splitbed.tensors import Tensors
from tests.shared_machine import HANG_S

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-triton" / "bin" / "python"
SAID = "there is no model 'another'"


def asked_by_triton(
    address: str,
    model: str,
    array: npt.NDArray[np.generic],
    folder: Path,
    *,
    certs: Path | None = None,
    within: Namespace | None = None,
) -> Tensors:
    """The outputs that a user of it is answered with; skips where it is not there.

    In another network with the certificate and the token in `certs`.
    """
    if not PYTHON.exists():
        pytest.skip("needs tritonclient: `make client`")
    given, came = folder / "given.npy", folder / "came.npz"
    np.save(given, array)
    argv = [str(PYTHON), str(ROOT / "tests" / "triton_client.py")]
    argv += [address, model, str(given), str(came), str(certs or "")]
    argv = within.command(argv) if within else argv
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert ended.returncode == 0, ended.stderr
    assert SAID in ended.stdout
    with np.load(came) as outputs:
        return {name: outputs[name] for name in outputs}
