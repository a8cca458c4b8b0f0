"""What a process took is counted once, whoever reads it at the same time."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from splitbed.meters.process import ProcessMeter


def test_memory_after_frames_that_end_at_once_is_the_mean_of_all(tmp_path: Path) -> None:
    (tmp_path / "statm").write_text("900 50 40 1 0 300 0\n")
    meter = ProcessMeter(tmp_path)

    def frames(_: int) -> None:
        for _ in range(1000):
            meter.sample()

    with ThreadPoolExecutor(4) as sources:
        assert len([*sources.map(frames, range(4))]) == 4
    assert meter.read().rss_bytes == 50 * os.sysconf("SC_PAGE_SIZE")
