"""Installs an example package as a user would, into a folder of a test's own.

    @pytest.fixture
    def example(tmp_path, monkeypatch):
        return installed("link_backend", tmp_path, monkeypatch)

The folder comes first on this process's path and on that of the programs that it starts.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def installed(package: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build ``tests/extensions/<package>`` and install it below ``folder``; no network is asked."""
    source = shutil.copytree(HERE / package, folder / f"{package}-source")
    site = folder / f"{package}-site"
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", site, source],
        check=True,
        capture_output=True,
        text=True,
    )
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(site)
    return site
