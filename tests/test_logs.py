"""What a long-lived process writes on stderr."""

import json
import subprocess
import sys
import time
from datetime import datetime
from typing import Any

import pytest

from splitbed.logs import Kind, Seldom

EVENTS = """
import logging, sys
from splitbed.logs import configure, log
configure(sys.argv[1])
log.info("model deployed", layers=143, token="hunter2", probe_token=b"hunter2")
log.debug("of no interest")
log.info("called", name="\\x1b[2J\\x9b2J")
log.warning("refused", reason="x" * 5000, data=bytes(1000))
log.warning("lied to", reason="no\\n2026-11-29T20:00:00Z [info     ] serving")
logging.getLogger("grpc").warning("lied to: %s", "no\\n2026-11-29T20:00:00Z [info     ] serving")
secret_frame = "hunter2"
try:
    raise ValueError("no such cut\\x1b[2J")
except ValueError:
    log.exception("failed")
    logging.getLogger("grpc._server").exception("Exception calling application")
"""


def logged(kind: Kind) -> str:
    argv = [sys.executable, "-c", EVENTS, kind]
    ended = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert ended.stdout == ""  # stdout belongs to results
    return ended.stderr


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in logged("json").splitlines()]


def test_each_json_line_has_time_in_utc_level_event_and_its_values(
    lines: list[dict[str, Any]],
) -> None:
    deployed = lines[0]
    assert (deployed["event"], deployed["level"], deployed["layers"]) == (
        "model deployed",
        "info",
        143,
    )
    for line in lines:
        offset = datetime.fromisoformat(line["timestamp"]).utcoffset()
        assert offset is not None
        assert not offset


def test_what_a_library_logs_is_a_json_line_of_the_same_form(lines: list[dict[str, Any]]) -> None:
    (line,) = [line for line in lines if line.get("logger") == "grpc._server"]
    assert line["level"] == "error"
    assert "ValueError: no such cut" in line["exception"]


def test_a_line_has_neither_raw_data_nor_endless_text(lines: list[dict[str, Any]]) -> None:
    (refused,) = [line for line in lines if line["event"] == "refused"]
    assert refused["data"] == "(1000 bytes)"
    assert len(refused["reason"]) < 2100


@pytest.mark.parametrize("kind", ["console", "json"])
def test_nobodys_words_begin_a_line(kind: Kind) -> None:
    lines = [line for line in logged(kind).splitlines() if "serving" in line]
    assert len(lines) == 2
    assert all("lied to" in line for line in lines)


def test_what_happens_often_is_told_seldom_and_how_often_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seldom = Seldom(every_s=0.2, most=10)
    for _ in range(100):
        seldom.warning("refused a call", ("ue",), peer="ue")
    seldom.warning("refused a call", ("edge",), peer="edge")
    assert capsys.readouterr().err.count("refused a call") == 2
    time.sleep(0.2)
    seldom.warning("refused a call", ("ue",), peer="ue")
    assert "100" in capsys.readouterr().err
    for number in range(1000):
        seldom.warning("refused a call", (str(number),), peer="one of many")
    assert capsys.readouterr().err.count("refused a call") <= 2 * 11


@pytest.mark.parametrize("kind", ["console", "json"])
def test_neither_secrets_nor_local_variables_nor_commands_are_logged(kind: Kind) -> None:
    text = logged(kind)
    assert "ValueError: no such cut" in text
    assert "of no interest" not in text
    assert not {"\x1b", "\x9b"} & {*text}
    assert "hunter2" not in text
