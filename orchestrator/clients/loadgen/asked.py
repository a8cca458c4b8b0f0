"""What LoadGen is asked: its scenario, and how long and how fast it asks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from splitbed.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import mlperf_loadgen

SCENARIOS = ("SingleStream", "MultiStream", "Server", "Offline")
MOST = {
    "target_qps": 1e6,
    "latency_ms": 1e7,
    "duration_s": 604_800,
    "queries": 10**8,
    "samples_per_query": 10**5,
}
"""What LoadGen, which counts in whole numbers of some bits, is asked at most."""
_SEED = 0xDEC0DE


@dataclass(frozen=True)
class LoadgenAsked:
    """A run of MLPerf LoadGen; ``target_qps`` is of samples, for Server and Offline.

    It lasts ``duration_s`` and ``queries`` at least. ``latency_ms`` is the bound of Server at the
    99th percentile; a query of MultiStream has ``samples_per_query``.
    """

    scenario: str = "SingleStream"
    target_qps: float = 10.0
    latency_ms: float = 1000.0
    duration_s: float = 10.0
    queries: int = 100
    samples_per_query: int = 8
    seed: int = 0

    def check(self) -> None:
        """Raise UsageError for a scenario that LoadGen does not have, or more than it counts."""
        if self.scenario not in SCENARIOS:
            meant = did_you_mean(self.scenario, SCENARIOS)
            raise UsageError(
                f"--scenario {self.scenario}: LoadGen has none that is called so{meant} one of "
                f"{', '.join(SCENARIOS)}"
            )
        for name, most in MOST.items():
            if not getattr(self, name) <= most:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(
                    f"{option} {getattr(self, name):g}: LoadGen takes up to {most:.0f}"
                )

    def settings(self) -> "mlperf_loadgen.TestSettings":
        """As LoadGen takes it."""
        import mlperf_loadgen as loadgen

        found = loadgen.TestSettings()
        found.scenario = getattr(loadgen.TestScenario, self.scenario)
        found.mode = loadgen.TestMode.PerformanceOnly
        found.server_target_qps = found.offline_expected_qps = self.target_qps
        found.server_target_latency_ns = int(self.latency_ms * 1e6)
        found.multi_stream_samples_per_query = self.samples_per_query
        found.min_duration_ms = int(self.duration_s * 1e3)
        found.min_query_count = self.queries
        seeds = ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed")
        for place, name in enumerate(seeds):
            setattr(found, name, _SEED + 3 * self.seed + place)
        return found
