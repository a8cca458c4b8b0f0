"""Where this machine keeps what is found once and serves later runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$SPLITBED_CACHE, else ~/.cache/splitbed."""
    given = os.environ.get("SPLITBED_CACHE")
    return Path(given) if given else Path.home() / ".cache/splitbed"
