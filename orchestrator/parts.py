"""What is loaded on the pair: part 2 on the edge, part 1 brought to the UE and opened there."""

from orchestrator.config import SweepConfig
from orchestrator.pair import Pair
from orchestrator.run_folder import Record


class Parts:
    """Loads cuts on a pair, each once; with delivery, part 1 crosses every link that is measured.

    Every method raises NodeError.
    """

    def __init__(self, pair: Pair, config: SweepConfig) -> None:
        self._pair = pair
        self._config = config
        self._layers: int | None = None
        self._facts: Record = {}
        self._opened = False

    def forget(self) -> None:
        """The nodes were restarted: nothing is loaded."""
        self._layers = None

    def load(self, layers: int) -> Record:
        """Cut and load, unless the cell before was of the same cut."""
        if self._layers == layers:
            return self._facts
        self._layers = None
        warmup, threads = self._config.warmup, (self._config.ue_threads, self._config.edge_threads)
        if self._config.delivery:
            edge = self._pair.load_edge(layers, threads=threads[1], warmup=warmup)
            load_ms = edge.load_ms
        else:
            ue, edge = self._pair.load(layers, threads=threads, warmup=warmup)
            load_ms = max(ue.load_ms, edge.load_ms)
        self._layers, self._opened = layers, not self._config.delivery
        self._facts = {
            "part1_bytes": edge.part1_bytes,
            "part2_bytes": edge.part_bytes,
            "load_ms": load_ms,
        }
        return self._facts

    def deliver(self, timeout_s: float) -> Record:
        """Send part 1 to the UE over the link as it is now, and open it there if it is another."""
        if not self._config.delivery or self._layers is None:
            return {}
        received = self._pair.receive_part(self._layers, timeout_s)
        if received.changed or not self._opened:
            ue = self._pair.open_part(self._config.ue_threads, self._config.warmup)
            self._facts["load_ms"] = max(ue.load_ms, self._facts["load_ms"])
            self._opened = True
        return {"part1_delivery_ms": received.receive_ms, "load_ms": self._facts["load_ms"]}
