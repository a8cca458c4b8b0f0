"""A user's link backend makes a link as ours do."""

from pathlib import Path

import pytest

from netem.backends import open_link
from netem.spec import symmetric
from tests.extensions.installing import installed
from tests.net.test_link import proof_of


def test_a_link_of_an_installed_backend_is_what_it_makes_of_it(
    backend: str, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del backend  # only for its skip
    installed("link_backend", tmp_path, monkeypatch)
    asked = symmetric(rate_mbit=20, delay_ms=5)
    with open_link("far", run_dir) as link:
        link.shape(asked)
        assert (link.backend, link.read_back()) == ("far", asked)
        assert proof_of(link, symmetric(rate_mbit=20, delay_ms=30)).rtt_min_ms > 2 * 30
