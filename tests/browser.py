"""A page in a real browser: what it became, what the browser said of it, how it looks."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageStat

SCHEMES = ("dark", "light")


@dataclass(frozen=True)
class Page:
    """A page as a browser showed it to a reader who prefers `scheme`."""

    scheme: str
    dom: str
    said: str
    """What stood on its console."""
    brightness: float
    """Of its picture, 0 to 255."""


def browse(url: str, folder: Path, scheme: str = "light", size: str = "1200,3000") -> Page:
    """Open the page in Chromium, whose profile and picture go to `folder`; skips without one."""
    if shutil.which("chromium") is None:
        pytest.skip("needs chromium: `apt-get install --no-install-recommends chromium`")
    picture = folder / f"{scheme}.png"
    argv = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={SCHEMES.index(scheme)}",
        f"--window-size={size}",
        "--virtual-time-budget=3000",
        f"--screenshot={picture}",
        "--dump-dom",
        url,
    ]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    said = "\n".join(line for line in ended.stderr.splitlines() if "CONSOLE" in line)
    with Image.open(picture) as image:
        brightness = ImageStat.Stat(image.convert("L")).mean[0]
    return Page(scheme, ended.stdout, said, brightness)
