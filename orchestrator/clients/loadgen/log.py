"""What LoadGen says of its run, in mlperf_log_detail.txt: a line of JSON for each fact."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.clients.loadgen.agreement import QUANTILES
from splitbed.errors import RunError
from splitbed.timeline import NS_PER_MS

DETAIL_FILE, SUMMARY_FILE = "mlperf_log_detail.txt", "mlperf_log_summary.txt"
_MARK = ":::MLLOG "


@dataclass(frozen=True)
class LoadgenResult:
    """Its verdict, its latencies by quantile, of queries where these have several samples."""

    valid: bool
    latencies_ms: Mapping[float, float]
    facts: Mapping[str, object]
    """All that it calls a result."""

    @property
    def words(self) -> str:
        """Its verdict, and what of its rules was not met."""
        if self.valid:
            return "VALID"
        unmet = [key for key, value in self.facts.items() if key.endswith("_met") and not value]
        return f"INVALID ({', '.join(one.removeprefix('result_') for one in unmet)})"


def read_result(folder: Path) -> LoadgenResult:
    """What it wrote into `folder`; RunError where it did not come to its end."""
    facts = {}
    for line in (folder / DETAIL_FILE).read_text().splitlines():
        if line.startswith(_MARK):
            said = json.loads(line.removeprefix(_MARK))
            if said["key"].startswith("result_") or said["key"].endswith("_met"):
                facts[said["key"]] = said["value"]
    try:
        of = "per_query_" if "result_50.00_percentile_per_query_latency_ns" in facts else ""
        latencies = {
            one: facts[f"result_{100 * one:.2f}_percentile_{of}latency_ns"] / NS_PER_MS
            for one in QUANTILES
        }
    except KeyError as error:
        raise RunError(f"LoadGen came to no result ({error}): see {folder / DETAIL_FILE}") from None
    return LoadgenResult(facts.get("result_validity") == "VALID", latencies, facts)
