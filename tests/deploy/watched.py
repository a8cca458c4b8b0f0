"""A real Prometheus over processes that tell what a sweep tells, and what is asked of it."""

import json
import math
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.node.loopback import free_port
from tests.shared_machine import until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD = ROOT / "orchestrator/reports/dashboards/splitbed.json"
RANGE_S = 60
WAITED_FOR = (
    "count(sum_over_time(up[1m]) >= 10) == 3",  # rates of each process
    "min(sum by (stage) (rate(splitbed_frame_stage_seconds_count[1m]))) > 0",
    'splitbed_sweep_cells{state="failed"} > 0',
)


@contextmanager
def started(argv: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process, ended with the context."""
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def driven_processes() -> Iterator[dict[str, str]]:
    """Both nodes and an orchestrator, at work; where each serves its metrics."""
    places = {role: f"127.0.0.1:{free_port()}" for role in ("ue", "edge", "orchestrator")}
    with ExitStack() as stack:
        for role, place in places.items():
            module = [sys.executable, "-m", "tests.deploy.driven"]
            stack.enter_context(started([*module, role, place]))
        yield places


@contextmanager
def prometheus_over(places: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Prometheus with the configuration of deploy/ but for places and pace; its URL, once it has
    scraped enough for rates."""
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    for group in config["scrape_configs"][0]["static_configs"]:
        group["targets"] = [places[group["labels"]["node"]]]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(DEPLOY / "prometheus/alerts.yml", folder)
    address = f"127.0.0.1:{free_port()}"
    argv = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=error",
    ]
    url = f"http://{address}"
    with started(argv) as process:
        until(lambda: all(_told(url, query) for query in WAITED_FOR), process)
        yield url


def _told(url: str, query: str) -> bool:
    try:
        return bool(finite(url, query, instant=True))
    except OSError:  # it is not up yet
        return False


def finite(url: str, query: str, *, instant: bool) -> list[float]:
    """Every number of the answer that is one."""
    query, now = query.replace("$__range", f"{RANGE_S}s"), time.time()
    if instant:
        found = asked(url, "query", query=query)
        texts = [one["value"][1] for one in found]
    else:
        found = asked(url, "query_range", query=query, start=now - RANGE_S, end=now, step=1)
        texts = [text for one in found for _, text in one["values"]]
    return [float(text) for text in texts if math.isfinite(float(text))]


def asked(url: str, path: str, **parameters: object) -> list[Any]:
    """The series that Prometheus answers."""
    parts = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{parts}", timeout=5) as reply:
        return list(json.load(reply)["data"]["result"])


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard, without the rows that head them."""
    board = json.loads(DASHBOARD.read_text())
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def alerts() -> list[dict[str, Any]]:
    """The alert rules."""
    groups = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def as_value(expression: str) -> str:
    """An alert's condition as 0 or 1, in place of the series that fulfil it: `a > 1` of nothing
    that fulfils it answers nothing, `a > bool 1` a 0 for each series that was looked at."""
    value, times = re.subn(r" (==|>|<) (?=[\d.e]+$)", r" \1 bool ", " ".join(expression.split()))
    assert times == 1, f"not a value, a comparison and a threshold: {expression}"
    return value
