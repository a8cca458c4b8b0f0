"""What Spark needs of this machine, and how it is set up for a run.

    aggregator:  Master, and PySpark's driver ──┬── link ── ue-1: Worker ─ executor ─ Python
                                                └── link ── ue-2: Worker ─ executor ─ Python

There is one executor on each UE, with one core, so with one task at a time.  A task belongs to a
UE: its partition prefers that UE's host, and what finds itself on another, since its own is gone or
late, says so and touches no data.  So Spark's own means serve the rounds.  Its scheduler gives what
a killed executor held to another one, which ends the round at once; its speculation does so, once
there is a quorum, with what takes longer than the limit.
"""

import importlib.util
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from netem import shell
from netem.doctor import Finding
from splitbed.errors import MachineError

JAVA_PACKAGE = "openjdk-17-jre-headless"
EXTRA = "splitbed[spark]"
LEAST_JAVA = 17
PYTHON = sys.executable
MASTER_PORT = 7077
DAEMON_MB, DRIVER_MB, EXECUTOR_MB = 256, 512, 512  # Spark refuses less than 450 of the latter two
_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"  # starts sooner, takes less
_PATIENCE_S = 1
"""What a task waits for its UE, which is busy with an earlier round's, before it is given up."""
_VERSION = re.compile(r'version "(\d+)')


def findings() -> list[Finding]:
    """PySpark and a JRE, for clause 9.3."""
    return [_pyspark(), _java()]


def check() -> None:
    """Raise MachineError where Spark cannot be started here, with what to install."""
    if lacking := [one for one in findings() if not one.ok]:
        told = "; ".join(f"{one.name}: {one.detail} (repair: {one.repair})" for one in lacking)
        raise MachineError(
            f"the scenario 9.3 runs on Apache Spark, which this machine lacks: {told}"
        )


def home() -> Path:
    """Where PySpark has Spark."""
    spec = importlib.util.find_spec("pyspark")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def write_settings(folder: Path, address: str, ues: int, quorum: int, limit_s: float) -> None:
    """spark-defaults.conf, with a secret that only this run has, for this user's eyes."""
    told = {
        "spark.master": f"spark://{address}:{MASTER_PORT}",
        "spark.driver.host": address,
        "spark.driver.bindAddress": address,
        "spark.driver.extraJavaOptions": _jvm(folder),
        "spark.executor.extraJavaOptions": _jvm(folder),
        "spark.authenticate": "true",
        "spark.authenticate.secret": secrets.token_hex(32),
        "spark.network.crypto.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.ui.killEnabled": "false",  # of the Master's page, which is always there
        "spark.ui.showConsoleProgress": "false",
        "spark.master.rest.enabled": "false",
        "spark.eventLog.enabled": "false",
        "spark.driver.memory": f"{DRIVER_MB}m",
        "spark.executor.memory": f"{EXECUTOR_MB}m",
        "spark.executor.cores": "1",
        "spark.python.worker.reuse": "true",
        # what crosses is coded as a model coder left it
        "spark.broadcast.compress": "false",
        # UEs do not reach one another: what one has of a model, another asks the driver for
        "spark.shuffle.io.maxRetries": "0",
        "spark.locality.wait": f"{_PATIENCE_S}s",
        "spark.speculation": "true",
        "spark.speculation.efficiency.enabled": "false",
        "spark.speculation.quantile": f"{min(1.0, (quorum + 0.5) / ues):.4f}",
        "spark.speculation.multiplier": "1.0",
        "spark.speculation.minTaskRuntime": f"{round(limit_s * 1e3)}ms",
        "spark.speculation.interval": "100ms",
    }
    file = folder / "spark-defaults.conf"
    file.touch(mode=0o600)
    file.write_text("".join(f"{name} {value}\n" for name, value in told.items()))
    (folder / "log4j2.properties").write_text(_LOGGING)


def environment(folder: Path, address: str, more: Mapping[str, str]) -> dict[str, str]:
    """Of a process of Spark at this address, whose settings are in ``folder``."""
    return {
        **shell.environment(),
        "SPARK_HOME": str(home()),
        "SPARK_CONF_DIR": str(folder),
        "SPARK_LOCAL_IP": address,
        "SPARK_LOCAL_HOSTNAME": address,
        "SPARK_DAEMON_MEMORY": f"{DAEMON_MB}m",
        "SPARK_DAEMON_JAVA_OPTS": _jvm(folder),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONSAFEPATH": "1",  # as PYTHON has it
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **more,
    }


def _jvm(folder: Path) -> str:
    """Options of each JVM, which leaves what it unpacks where the run does: it may be killed."""
    return f'{_JVM} -Djava.io.tmpdir="{folder}"'  # a folder's name may have spaces


def master(address: str) -> list[str]:
    """The command of the Master, which has all of its ports at that address."""
    at = ["--host", address, "--port", str(MASTER_PORT), "--webui-port", "0"]
    return [str(home() / "bin/spark-class"), "org.apache.spark.deploy.master.Master", *at]


def worker(address: str, master_at: str, folder: Path) -> list[str]:
    """The command of a Worker, which keeps what it writes in ``folder``."""
    at = ["--host", address, "--port", "0", "--webui-port", "0", "--work-dir", str(folder)]
    most = ["--cores", "1", "--memory", f"{EXECUTOR_MB}M"]
    words = [*at, *most, f"spark://{master_at}:{MASTER_PORT}"]
    return [str(home() / "bin/spark-class"), "org.apache.spark.deploy.worker.Worker", *words]


def _pyspark() -> Finding:
    if importlib.util.find_spec("pyspark") is None:
        detail = "no Python package in this environment (scenario 9.3)"
        return Finding("pyspark", False, detail, f"pip install '{EXTRA}'")
    return Finding("pyspark", True, str(home()))


def _java() -> Finding:
    repair = f"apt-get install {JAVA_PACKAGE}"
    own = os.environ.get("JAVA_HOME")
    java = shell.which(f"{own}/bin/java" if own else "java")
    if java is None:
        return Finding("java", False, "not found (scenario 9.3)", repair)
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = _VERSION.search(done.stderr)
    if version is None or int(version[1]) < LEAST_JAVA:
        said = " ".join(done.stderr.split())[:100] or f"exit {done.returncode}"
        return Finding("java", False, f"{java} is none of {LEAST_JAVA} or later: {said}", repair)
    return Finding("java", True, f"{java}, {version[1]}")


_LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
"""
