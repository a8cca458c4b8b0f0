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
from collections.abc import Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_BUILD = """
import os, sys
from setuptools.build_meta import build_wheel
for source in sys.argv[1:]:
    os.chdir(source)
    build_wheel("wheel")
"""


def installed(package: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build ``tests/extensions/<package>`` and unpack its wheel below ``folder``.

    That is all that pip would do, and it would take six times as long.
    """
    [site] = all_installed([package], folder, monkeypatch)
    return site


def all_installed(
    packages: Sequence[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """Several, each as :func:`installed` has it, built by one process."""
    sources = [shutil.copytree(HERE / one, folder / f"{one}-source") for one in packages]
    subprocess.run([sys.executable, "-c", _BUILD, *sources], check=True, capture_output=True)
    sites = []
    for package, source in zip(packages, sources, strict=True):
        [wheel] = source.glob("wheel/*.whl")
        sites.append(site := folder / f"{package}-site")
        zipfile.ZipFile(wheel).extractall(site)
        path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.syspath_prepend(site)
    return sites
