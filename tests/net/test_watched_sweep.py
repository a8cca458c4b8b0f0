"""A real Prometheus over a real sweep of two machines, by the files of deploy/."""

import shutil
import time
from pathlib import Path

import pytest
import yaml

from tests.deploy.watched import DEPLOY, alerts, as_value, finite, panels
from tests.net.entering import call
from tests.net.machines import METRICS, Machines, brought_up
from tests.net.sweeps import ORCHESTRATE
from tests.node.loopback import small_model

pytestmark = pytest.mark.usefixtures("backend")

SIDE = 96
URL = "http://127.0.0.1:9090"  # of the orchestrator's own namespace
QUERIES = [
    (target["expr"], panel["type"] != "timeseries")
    for panel in panels()
    for target in panel["targets"]
] + [(as_value(rule["expr"]), True) for rule in alerts()]


def configured(folder: Path) -> Path:
    """deploy/'s configuration for two machines, with these addresses, and faster."""
    config = yaml.safe_load((DEPLOY / "prometheus/two-machines.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    for group in config["scrape_configs"][0]["static_configs"]:
        group["targets"] = [METRICS[group["labels"]["node"]]]
    (file := folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(DEPLOY / "prometheus/alerts.yml", folder)
    return file


def unanswered(machines: Machines, queries: set[tuple[str, bool]]) -> set[tuple[str, bool]]:
    """Those of the queries that return no number now."""

    def ask() -> set[tuple[str, bool]]:
        return {one for one in queries if not finite(URL, one[0], instant=one[1])}

    try:
        return call(machines.orchestrator, ask)
    except OSError:  # Prometheus is not up yet
        return queries


def test_every_query_of_dashboard_and_alerts_has_data_while_a_sweep_runs(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("needs prometheus: `apt-get install --no-install-recommends prometheus`")
    with brought_up(tmp_path) as machines:
        watching = [f"--config.file={configured(tmp_path)}", f"--storage.tsdb.path={tmp_path}/tsdb"]
        prometheus = machines.popen(
            ["prometheus", *watching, "--web.listen-address=127.0.0.1:9090", "--log.level=error"]
        )
        sweep = machines.popen(
            [
                *(*ORCHESTRATE, "sweep", "--topology", str(machines.topology), "--no-profile"),
                *("--model", str(small_model(tmp_path / "small.onnx", SIDE)), "--split", "3:3"),
                *("--bw", "2,4,5", "--runs", "9", "--out", str(tmp_path / "run")),
                *("--metrics", "127.0.0.1:9100"),
            ]
        )
        try:
            left = set(QUERIES)
            while left and sweep.poll() is None:
                left = unanswered(machines, left)
                time.sleep(0.3)
        finally:
            for process in (sweep, prometheus):
                process.terminate()
                out, err = process.communicate(timeout=30)
        assert not left, f"{left}\n{out}\n{err}"


def test_metrics_of_a_node_are_for_those_with_a_certificate_alone(tmp_path: Path) -> None:
    with brought_up(tmp_path) as machines:
        certs = tmp_path / "certs"
        own = ["--cert", f"{certs}/orchestrator.pem", "--key", f"{certs}/orchestrator.key"]
        curl = [
            "curl",
            "--silent",
            "--cacert",
            f"{certs}/ca.pem",
            f"https://{METRICS['ue']}/metrics",
        ]
        done = {}
        for name, argv in (("with", [*curl, *own]), ("without", curl)):
            process = machines.popen([*argv, "--retry", "5", "--retry-connrefused"])
            done[name] = process.communicate(timeout=30)[0]
    assert "splitbed_stage_seconds" in done["with"]
    assert done["without"] == ""
