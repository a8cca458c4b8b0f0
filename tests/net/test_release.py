"""A release: what `make release` leaves works where no clone is."""

import csv
import shutil
import site
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

CLONE = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((CLONE / "pyproject.toml").read_text())
VERSION = PROJECT["project"]["version"]
PACKAGES = [
    pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
]
_LEFT_BY_WORK = shutil.ignore_patterns(
    "__pycache__",
    ".git",
    ".venv*",
    ".*_cache",
    ".hypothesis",
    "*.egg-info",
    "build",
    "dist",
    "runs",
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sdist, and the wheel that was made of it."""
    folder = tmp_path_factory.mktemp("release")
    source = shutil.copytree(CLONE, folder / "source", ignore=_LEFT_BY_WORK)
    argv = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def programs(folder: Path, wheel: Path) -> Path:
    """The programs of a new environment, that has the wheel and what it depends on."""
    venv.create(folder / "env", with_pip=False)
    argv = [sys.executable, "-m", "pip", "--python", str(folder / "env/bin/python")]
    subprocess.run([*argv, "install", "--quiet", "--no-deps", str(wheel)], check=True)
    [there] = (folder / "env/lib").glob("python*/site-packages")
    # what lies there, but not what its .pth files add: the clone
    (there / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return folder / "env/bin"


def data_files(top: Path) -> Iterator[str]:
    for package in PACKAGES:
        for file in (top / package).rglob("*"):
            if file.is_file() and file.suffix != ".pyc" and "__pycache__" not in file.parts:
                yield str(file.relative_to(top))


def test_every_file_of_the_packages_is_in_the_wheel(release: Path) -> None:
    [wheel] = release.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert not set(data_files(CLONE)) - held


def test_the_sdist_is_all_of_the_source(release: Path) -> None:
    [sdist] = release.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert held >= {
        "Makefile", "README.md", "CHANGELOG.md", "LICENSE", "requirements.lock", ".ci/run",
        "proto/splitbed/v1/nodes.proto", "deploy/Containerfile", "docs/runs.md",
        "scripts/environment", "tests/conftest.py",
    }  # fmt: skip


def test_it_sweeps_over_a_link_from_an_environment_outside_the_clone(
    backend: str, release: Path, tmp_path: Path
) -> None:
    del backend  # only for its skip
    [wheel] = release.glob("*.whl")
    orchestrate = programs(tmp_path, wheel) / "orchestrate"

    def said(*argv: str) -> str:
        done = subprocess.run(
            [orchestrate, *argv], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.stdout

    assert VERSION in said("--version")
    assert "SSD300" in said("scenario", "show", "10.3")
    sweep = ["sweep", "--model", "shapesnet", "--split", "stage2", "--bw", "50", "--runs", "3"]
    said(*sweep, "--no-profile", "--no-delivery", "--accuracy-frames", "3", "--out", "run")
    rows = csv.DictReader((tmp_path / "run/summary.csv").open())
    assert [int(row["frames"]) >= 3 for row in rows] == [True] * 3
    assert (tmp_path / "run/report.html").stat().st_size
    where = [
        str(orchestrate.with_name("python")),
        "-c",
        "import splitbed; print(splitbed.__file__)",
    ]
    imported = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert imported.stdout.startswith(str(tmp_path))


def test_its_version_comes_from_one_place() -> None:
    assert yaml.safe_load((CLONE / "CITATION.cff").read_text())["version"] == VERSION
    newest = (CLONE / "CHANGELOG.md").read_text().partition("\n## ")[2]
    assert newest.startswith(VERSION)
