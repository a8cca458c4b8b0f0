"""What a node took of its machine while a cell's frames went through: a part of a cell's record."""

from orchestrator.results.json_record import Record


class Energy(Record, frozen=True, kw_only=True):
    """What a meter counted, in J by its domains; ``own`` where it is of the node alone."""

    meter: str
    domains: dict[str, float]
    own: bool = False


class NodeResources(Record, frozen=True, kw_only=True):
    """From before the first frame of a cell until after the last, of a node's process.

    ``rss_bytes`` is the mean after each frame, ``pss_bytes`` that of what was read between frames,
    at the beginning, at the end, and every few seconds. What the machine does not tell is None, and
    said in ``lacks``; counters that fell, or rose by more than can be, are None, and said in
    ``faults``. ``gpu_s`` is what its GPUs were busy, whoever with.
    """

    wall_s: float
    shared_machine: bool = False
    """Whether other nodes are on its machine."""
    cpu_s: float | None = None
    rest_s: float = 0.0
    """Of that, after the last stage of the last frame."""
    voluntary_switches: int | None = None
    involuntary_switches: int | None = None
    rss_bytes: int | None = None
    rss_peak_bytes: int | None = None
    pss_bytes: int | None = None
    pss_peak_bytes: int | None = None
    energy: Energy | None = None
    gpu_s: float | None = None
    gpu_memory_bytes: int | None = None
    lacks: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
