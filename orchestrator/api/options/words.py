"""What each function of the door, and its command, can be asked: groups of options together."""

from collections.abc import Mapping
from typing import Annotated

from orchestrator.api.options import (
    CodecWords,
    EdgeWords,
    FlowWords,
    ImpairmentWords,
    InputWords,
    LinkWords,
    LoadWords,
    ModelWords,
    NodeWords,
    OutWords,
    PaceWords,
    RunWords,
    Says,
    SplitWords,
)


class SweepWords(
    InputWords,
    ModelWords,
    SplitWords,
    FlowWords,
    CodecWords,
    LinkWords,
    ImpairmentWords,
    PaceWords,
    LoadWords,
    EdgeWords,
    NodeWords,
    RunWords,
    OutWords,
    total=False,
):
    """All that a sweep can be asked."""


class ClientWords(
    InputWords,
    ModelWords,
    SplitWords,
    CodecWords,
    ImpairmentWords,
    PaceWords,
    NodeWords,
    OutWords,
    total=False,
):
    """All that one split can be asked that is kept up for whoever has frames."""

    bw: Annotated[float, Says("Mbit/s.")]
    in_flight: Annotated[int, Says("Frames under way at once, at most. [1]")]
    delivery: Annotated[bool, Says("Send part 1 to the UE over the link. [yes]")]


class CapacityWords(
    InputWords,
    ModelWords,
    SplitWords,
    FlowWords,
    CodecWords,
    LinkWords,
    ImpairmentWords,
    PaceWords,
    LoadWords,
    EdgeWords,
    NodeWords,
    OutWords,
    total=False,
):
    """All that a search of what a pair carries can be asked, beside what must hold."""


class InferWords(InputWords, ModelWords, total=False):
    """All that a model that is run here can be asked, beside what is made of its results."""


class ProfileWords(InputWords, ModelWords, NodeWords, total=False):
    """All that a profile can be asked."""


class PlanWords(
    InputWords,
    ModelWords,
    SplitWords,
    FlowWords,
    CodecWords,
    NodeWords,
    OutWords,
    total=False,
):
    """All that a plan can be asked beside the links and paces that it is for."""

    link_of: Annotated[
        str | Mapping[str, Mapping[str, float]],
        Says("One link of a flow only, as backhaul:rate_mbit=1000,delay_ms=20."),
    ]
    power: Annotated[str | Mapping[str, str], Says("A model of what the UE takes: ue=FILE.yaml.")]
