"""What is known of files, by threads that learn at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from splitbed.runtime.known import Known


@pytest.mark.usefixtures("hurried")
def test_threads_may_learn_more_than_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitbed.runtime.known._MOST", 0)
    monkeypatch.setattr("splitbed.runtime.known._identity", str)
    known = Known()

    def learn(turn: int) -> None:
        for file in range(10_000):
            known.learn(Path(f"{turn}-{file}"), "")

    with ThreadPoolExecutor(8) as threads:
        assert len([*threads.map(learn, range(8))]) == 8
