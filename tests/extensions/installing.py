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
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def installed(package: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build ``tests/extensions/<package>`` and unpack its wheel below ``folder``.

    That is all that pip would do, and it would take six times as long.
    """
    source = shutil.copytree(HERE / package, folder / f"{package}-source")
    subprocess.run(
        [sys.executable, "-c", _BUILD, folder], cwd=source, check=True, capture_output=True
    )
    [wheel] = folder.glob("*.whl")
    site = folder / f"{package}-site"
    zipfile.ZipFile(wheel).extractall(site)
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(site)
    return site
