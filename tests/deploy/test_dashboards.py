"""Dashboard and alerts against a real Prometheus, and the page in a real browser."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat

from orchestrator.reports.dashboard import dashboard
from splitbed.errors import MachineError, UsageError
from tests.deploy.driven import MARKUP
from tests.deploy.watched import (
    DASHBOARD,
    DEPLOY,
    alerts,
    as_value,
    driven_processes,
    finite,
    panels,
    prometheus_over,
)
from tests.node.loopback import free_port

QUERIES = [
    pytest.param(
        target["expr"], panel["type"] != "timeseries", id=f"{panel['title']} {target['refId']}"
    )
    for panel in panels()
    for target in panel["targets"]
]


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}: `apt-get install --no-install-recommends {program}`")


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, str]]:
    """Where UE, edge and orchestrator serve their metrics while a sweep runs."""
    needs("prometheus")
    with driven_processes() as places:
        yield places


@pytest.fixture(scope="module")
def prometheus(places: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus that scrapes them."""
    with prometheus_over(places, tmp_path_factory.mktemp("prometheus")) as url:
        yield url


@pytest.mark.parametrize(("query", "instant"), QUERIES)
def test_every_query_of_every_panel_returns_numbers(
    prometheus: str, query: str, instant: bool
) -> None:
    assert finite(prometheus, query, instant=instant)


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_looks_at_series_that_there_are(prometheus: str, rule: dict[str, Any]) -> None:
    assert set(finite(prometheus, as_value(rule["expr"]), instant=True)) <= {0.0, 1.0}
    assert finite(prometheus, as_value(rule["expr"]), instant=True)


def test_prometheus_has_loaded_the_alerts(prometheus: str) -> None:
    with urllib.request.urlopen(f"{prometheus}/api/v1/rules", timeout=5) as reply:
        (group,) = json.load(reply)["data"]["groups"]
    assert {(rule["name"], rule["health"]) for rule in group["rules"]} == {
        (rule["alert"], "ok") for rule in alerts()
    }


@pytest.mark.parametrize("name", ["prometheus.yml", "two-machines.yml"])
def test_promtool_accepts_the_configuration(name: str) -> None:
    needs("promtool")
    file = str(DEPLOY / "prometheus" / name)
    # the certificates of the other machines are not here
    said = promtool("check", "config", *(["--syntax-only"] if "two" in name else []), file)
    assert said.returncode == 0, said.stdout + said.stderr


def test_each_alert_fires_when_it_should_and_not_otherwise(tmp_path: Path) -> None:
    needs("promtool")
    shutil.copy(DEPLOY / "prometheus/alerts.yml", tmp_path)
    shutil.copy(Path(__file__).with_name("alerts.test.yml"), tmp_path)
    said = promtool("test", "rules", str(tmp_path / "alerts.test.yml"))
    assert said.returncode == 0, said.stdout + said.stderr


def promtool(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)


def test_grafana_is_given_the_very_dashboard_of_the_package() -> None:
    assert (DEPLOY / "grafana/dashboards/splitbed.json").read_bytes() == DASHBOARD.read_bytes()


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    board = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in board}) == len(board)
    for one, other in combinations([panel["gridPos"] for panel in board], 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board)


class Drawn(HTMLParser):
    """Of each panel in a page: what was drawn, and its words; and all elements of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pictures: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.elements: set[str] = set()
        self.words: list[str] = []
        self._panel = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.elements.add(tag)
        if "data-panel" in given:
            self._panel = given["data-panel"]
            self.pictures[self._panel] = self.rows[self._panel] = 0
        drawn = (
            (tag == "path" and re.match(r"M[\d.]+ [\d.]+", given.get("d", "")))
            or (tag == "rect" and float(given.get("width", 0)) > 0)
            or (tag == "b" and given.get("class") == "value")
        )
        if drawn and "NaN" not in str(given):
            self.pictures[self._panel] += 1
        if tag == "td":
            self.rows[self._panel] += 1

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


@dataclass(frozen=True)
class Browsed:
    """A page as a browser showed it."""

    scheme: str
    drawn: Drawn
    said: str
    """What the browser said on its console."""
    brightness: float
    """Of the picture, 0 to 255."""


@pytest.fixture(scope="module", params=["light", "dark"])
def browsed(
    request: pytest.FixtureRequest, prometheus: str, tmp_path_factory: pytest.TempPathFactory
) -> Browsed:
    """The page in a browser whose user prefers light or dark."""
    needs("chromium")
    folder = tmp_path_factory.mktemp("chromium")
    with dashboard(prometheus, f"127.0.0.1:{free_port()}") as url:
        return browse(url, request.param, folder)


def browse(url: str, scheme: str, folder: Path) -> Browsed:
    picture = folder / "page.png"
    argv = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={['dark', 'light'].index(scheme)}",
        "--window-size=1400,3000",
        "--virtual-time-budget=3000",
        f"--screenshot={picture}",
        "--dump-dom",
        url,
    ]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    console = "\n".join(line for line in ended.stderr.splitlines() if "CONSOLE" in line)
    with Image.open(picture) as image:
        brightness = ImageStat.Stat(image.convert("L")).mean[0]
    return Browsed(scheme, Drawn(ended.stdout), console, brightness)


def test_a_browser_draws_every_panel_with_a_table_behind_it(browsed: Browsed) -> None:
    asked = {str(panel["id"]) for panel in panels()}
    assert browsed.drawn.pictures.keys() == asked
    assert [panel for panel, count in browsed.drawn.pictures.items() if not count] == []
    assert [panel for panel, count in browsed.drawn.rows.items() if not count] == []


def test_a_browser_has_nothing_to_complain_of(browsed: Browsed) -> None:
    assert browsed.said == ""


def test_the_page_is_light_or_dark_as_its_reader_prefers(browsed: Browsed) -> None:
    assert (browsed.brightness > 128) == (browsed.scheme == "light")


def test_the_page_takes_no_words_of_a_metric_for_its_own(browsed: Browsed) -> None:
    assert any(MARKUP in words for words in browsed.drawn.words)
    assert "i" not in browsed.drawn.elements


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The page over a Prometheus that is not there."""
    with dashboard(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}") as url:
        yield url


def answered(url: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_without_a_prometheus_the_page_is_told_so(page: str) -> None:
    status, body = answered(f"{page}/api/v1/query?query=up")
    assert status == 502
    assert "cannot reach Prometheus at http://127.0.0.1" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "path", ["/api/v1/admin/tsdb/snapshot", "/api/v1/query/", "/../pyproject.toml", "/dashboard.py"]
)
def test_no_other_path_is_passed_on_or_served(page: str, path: str) -> None:
    assert answered(f"{page}{path}")[0] == 404


def test_nothing_but_get_is_passed_on(page: str) -> None:
    assert answered(f"{page}/api/v1/query?query=up", "POST")[0] == 501


def test_what_prometheus_says_of_a_wrong_query_is_passed_on(prometheus: str) -> None:
    with dashboard(prometheus, f"127.0.0.1:{free_port()}") as url:
        status, body = answered(f"{url}/api/v1/query?query=up%20up")
    assert status == 400
    assert "parse error" in json.loads(body)["error"]


@pytest.mark.parametrize("prometheus_url", ["127.0.0.1:9090", "file:///etc/passwd", "http://"])
def test_what_is_no_prometheus_is_refused(prometheus_url: str) -> None:
    page = dashboard(prometheus_url, f"127.0.0.1:{free_port()}")
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:9090"), page:
        pass


def test_a_port_of_the_page_that_is_taken_is_named(page: str) -> None:
    again = dashboard("http://127.0.0.1:9090", page.removeprefix("http://"))
    with pytest.raises(MachineError, match=r"cannot serve the dashboard.*in use"), again:
        pass
