"""What the aggregator, a process in its own namespace, is told and answers: JSON, a line each.

Waiting ─▶ Began      Training ─▶ Began      Round ─▶ Ended      Central ─▶ Anchored
"""

import msgspec

from splitbed.federated.averaging import Answer


class Waiting(msgspec.Struct, frozen=True, tag=True):
    """Wait until these UEs can be given tasks, and have each do one, of which nothing is kept."""

    ues: tuple[str, ...]
    within_s: float


class Training(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Begin with a fresh model; what follows is trained so."""

    hidden: int
    epochs: int
    rate: float
    seed: int
    coder: str
    model_coder: str


class Round(msgspec.Struct, frozen=True, tag=True):
    """One round of these UEs; it ends without a result after so long."""

    number: int
    ues: tuple[str, ...]
    quorum: int
    most_s: float


class Central(msgspec.Struct, frozen=True, tag=True):
    """The anchor: a fresh model trained on the samples of all, here; ``epochs`` make a round."""

    rounds: int
    target: float


class Keep(msgspec.Struct, frozen=True, tag=True):
    """Write the model to a file, as .safetensors."""

    file: str


Told = Waiting | Training | Round | Central | Keep


class Began(msgspec.Struct, frozen=True, tag=True):
    """It is done; ``problem`` says why not."""

    problem: str = ""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A UE's answer, and when its task left the driver and its result was there (ns since 1970).

    Both are None where Spark does not tell, as of a UE that is missing.
    """

    answer: Answer
    launched_ns: int | None = None
    arrived_ns: int | None = None


class Ended(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A round: when it began and its new model was there, and what that model reaches.

    ``aggregate_ms`` is what the driver takes to decode updates, to average and to add them.

    ``problem`` says why the model is the one before.
    """

    arrivals: tuple[Arrival, ...]
    began_ns: int
    ended_ns: int
    aggregate_ms: float
    model_bytes: int
    accuracy: float
    problem: str = ""


class Anchored(msgspec.Struct, frozen=True, tag=True):
    """What a round of central training reached, and what all of them until then took."""

    accuracy: tuple[float, ...]
    train_ms: tuple[float, ...]


Answered = Began | Ended | Anchored
ANSWER = msgspec.json.Decoder(Answered)
TOLD = msgspec.json.Decoder(Told)
