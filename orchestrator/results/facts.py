"""What identifies a run in run.json: the model and its inputs, the nodes, the machines."""

from msgspec import field

from orchestrator.results.json_record import Record


class InputFacts(Record, frozen=True, kw_only=True):
    """What identifies an input; of a seeded one, its name alone. ``frame`` is that of a video."""

    name: str
    source: str | None = None
    sha256: str | None = None
    md5: str | None = None
    frame: str | int | None = None


class TruthFacts(Record, frozen=True, kw_only=True):
    """The ground truth of a dataset: one sha256 over all of its files."""

    files: int
    sha256: str


class DatasetFacts(Record, frozen=True, kw_only=True):
    """The dataset that inputs are of."""

    name: str
    kind: str | None = None
    source: str | None = None
    frames: int | None = None
    annotated: int | None = None
    is_sequence: bool | None = None
    truth: TruthFacts | None = None


class DeviceFacts(Record, frozen=True, kw_only=True):
    """The model that is the device anchor, where that is one of its own."""

    name: str
    bytes: int
    sha256: str
    md5: str


class ModelFacts(Record, frozen=True, kw_only=True):
    """The model that was measured, and what it was fed; ``runtime`` is the format of its file.

    ``drawing`` names its nodes that draw random numbers, ``conversion`` says how it was converted.
    """

    name: str = ""
    weights: str = ""
    runtime: str = "onnx"  # the only one of the first runs
    layers: int | None = None
    parameters: int | None = None
    macs: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    dataset: DatasetFacts | None = None
    inputs: tuple[InputFacts, ...] = ()
    drawing: tuple[str, ...] = ()
    conversion: str = ""
    device: DeviceFacts | None = None


class NodeFacts(Record, frozen=True, kw_only=True):
    """A node: its version and that of packages, and the processor that it runs on.

    ``mtu`` is that of its end of the link, ``offloads`` says which of tso, gso, gro and lro are on
    there; None where the kernel does not tell, and of earlier runs. ``provider`` is what it was
    told to compute on; empty: whatever its runtimes take by themselves.
    """

    version: str | None = None
    cpu: str | None = None
    cpus: int | None = None
    packages: dict[str, str] = field(default_factory=dict)
    mtu: int | None = None
    offloads: dict[str, bool] | None = None
    provider: str = ""


class CodedFacts(Record, frozen=True, kw_only=True):
    """By what models were coded and judged, without a link; of earlier runs it is not known."""

    git_commit: str | None = None
    python: str | None = None
    cpu: str | None = None
    cpus: int | None = None
    packages: dict[str, str] = field(default_factory=dict)


class Conditions(Record, frozen=True, kw_only=True):
    """What a cross-checker needs to repeat a run (clause 2).

    ``ue`` is the user's node, ``edge`` the one that held the model, ``nodes`` has those beside
    these, by their names.
    """

    started: str | None = None
    command: tuple[str, ...] = ()
    git_commit: str | None = None
    python: str | None = None
    kernel: str | None = None
    os: str | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    load_average: tuple[float, ...] = ()
    ue: NodeFacts = NodeFacts()
    edge: NodeFacts = NodeFacts()
    nodes: dict[str, NodeFacts] = field(default_factory=dict)
    link_backend: str | None = None
    warnings: tuple[str, ...] = ()
    tcp: dict[str, dict[str, str]] = field(default_factory=dict)
