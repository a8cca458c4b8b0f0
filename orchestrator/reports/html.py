"""report.html: a run in one file that needs no network.

rows, raw samples, run.json ──> facts (JSON in the page) ──> pictures, drawn by the page itself

What the page draws with is orchestrator/reports and the dashboard's pictures.js, put into the file.
Names that came from a run stay data: the page makes text of them, never elements.
"""

import base64
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from orchestrator.reports.page_facts import Facts, facts
from orchestrator.results.judgement.verdict import JudgedRun
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import RunError

REPORT_FILE = "report.html"

_Run = TypeVar("_Run", bound=JudgedRun)


def write_report(run: Path, file: Path | None = None) -> Path:
    """Write report.html into the run folder, or to `file`, over what was there; its path.

    Raises UsageError for what is no run or a newer one's, RunError where it cannot be written.
    """
    return put_report(html(facts(run)), run, file)


def put_report(page: str, run: Path, file: Path | None = None) -> Path:
    """Write a page into the run folder, or to `file`; its path. Raises RunError."""
    target = file or run / REPORT_FILE
    try:
        RunFolder(target.parent).replace(target.name, page)
    except RunError as error:
        why = getattr(error.__cause__, "strerror", error)
        raise RunError(
            f"cannot write {target}: {why}; make room there, or have it elsewhere with "
            f"`orchestrate report {run} --out FILE`"
        ) from None
    return target


def leave_report(outcome: _Run) -> _Run:
    """The outcome once its report.html is written; it says why, where that cannot be done."""
    return outcome.then("report", lambda: write_report(outcome.folder))


def html(told: Facts) -> str:
    """The page that draws `told`."""
    css = _asset("dashboards", "page.css") + _asset("page", "report.css")
    script = _asset("dashboards", "pictures.js")
    script += "".join(
        _asset("page", f"{name}.js") for name in ("plots", "panels", "capacity", "report")
    )
    # modules in one file see one another without asking
    script = re.sub(r"^import [^;]*;\n", "", script, flags=re.M)
    parts = {
        "policy": f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(css)}; script-src {_hash(script)}",
        "css": css,
        # a name with </script> in it ends no script
        "data": json.dumps(told, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "script": script,
    }
    template = _asset("page", "report.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _asset(*where: str) -> str:
    return files("orchestrator.reports").joinpath(*where).read_text()


def _hash(text: str) -> str:
    """As a Content-Security-Policy names what it lets run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
