"""What can be asked, in groups: every option once, for programs and for the command line.

A function of the door takes groups as keywords, a command takes them as options. What is not given
has the default that stands in [brackets]; :mod:`orchestrator.ask.sweep_config` holds and checks
them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

Numbers = float | str | Sequence[float]
Names = str | Sequence[str]
Place = str | Path


@dataclass(frozen=True)
class Says:
    """What an option's help says; `as_path` where the command line takes a path.

    There it has the names `also`, too, the first of all.
    """

    help: str
    as_path: bool = False
    also: str = ""


class ModelWords(TypedDict, total=False):
    """The model, and how it is run."""

    task: Annotated[str, Says("Of a FILE: classification, image, tensors … [tensors]")]
    weights: Annotated[Place, Says("Trained weights, or all as .onnx: a FILE.", as_path=True)]
    width: Annotated[float, Says("Multiplier of the channels (posenet). [1]")]
    runtime: Annotated[str, Says("onnx or tflite. [the model's usual]")]
    shape: Annotated[
        str | Mapping[str, Sequence[int]], Says("Fixes dynamic inputs: NAME=1x3x300x300,…")
    ]
    seed: Annotated[int, Says("Of weights and made-up inputs. [0]")]


class InputWords(TypedDict, total=False):
    """What is fed to it."""

    input: Annotated[Place, Says("Picture, video, FOLDER or dataset (orchestrate datasets).")]


class SplitWords(TypedDict, total=False):
    """Where it is cut."""

    split: Annotated[
        Names,
        Says("named, single, all, or a list of labels, k:n-k, NODE:before, NODE:after. [named]"),
    ]


class FlowWords(TypedDict, total=False):
    """Which node does what."""

    flow: Annotated[
        str,
        Says(
            "uplink, downlink, remote-source, multi-head, chain or call (docs/flows.md). [uplink]"
        ),
    ]
    heads: Annotated[
        Names,
        Says(
            "Outputs of the head of each UE, with + between those of one, as heat+sides,heat. "
            "[all, shared out in order]"
        ),
    ]
    private_layers: Annotated[
        int, Says("Layers that stay on the UE at the third anchor, of clause 10.3.5. [no such]")
    ]


class CodecWords(TypedDict, total=False):
    """How what crosses is coded."""

    codec: Annotated[Names, Says("Of intermediate data, a list (orchestrate codecs). [raw]")]
    input_codec: Annotated[
        Names, Says("Of an input that crosses, a list: raw,uint8,jpeg:75,avc… [raw]")
    ]
    output_codec: Annotated[
        Names, Says("Of what a whole model gives, in the flow call: avc-inter… [raw]")
    ]
    calibration: Annotated[
        Place, Says("Frames that codecs are calibrated on, named as inputs are.")
    ]


class LinkWords(TypedDict, total=False):
    """What the links are."""

    bw: Annotated[Numbers, Says("Mbit/s, a list. [5,20,100]")]
    link: Annotated[Names, Says("Profiles (orchestrate links) in place of a grid.")]
    link_of: Annotated[
        str | Mapping[str, str | Mapping[str, float]],
        Says("One link of a flow only, as backhaul:rate_mbit=1000,delay_ms=20, or backhaul:lte."),
    ]
    ul: Annotated[str | Mapping[str, float], Says("Uplink only, as rate_mbit=20,delay_ms=5.")]


class ImpairmentWords(TypedDict, total=False):
    """What else the links do to packets, beside their rate."""

    delay_ms: Annotated[Numbers, Says("One-way, each direction, a list. [0]")]
    jitter_ms: Annotated[Numbers, Says("A list. [0]")]
    loss_pct: Annotated[Numbers, Says("A list. [0]")]
    queue_packets: Annotated[int, Says("Queue of either direction. [1000]")]
    dl: Annotated[str | Mapping[str, float], Says("Downlink only, likewise.")]


class PaceWords(TypedDict, total=False):
    """How slow the UE is."""

    ue_slowdown: Annotated[Numbers, Says("Times that the UE is slower, a list. [1]")]
    ue_cpu: Annotated[Numbers, Says("CPUs that the UE may use, a list, as 0.25,1.")]
    ue_profile: Annotated[
        Names, Says("Devices that the UE is as slow as: samsung-a01, … or FILE.yaml.")
    ]


class NodeWords(TypedDict, total=False):
    """The nodes, and what joins them."""

    ue_threads: Annotated[int, Says("0: all CPUs. [0]")]
    edge_threads: Annotated[int, Says("0: all CPUs. [0]")]
    link_backend: Annotated[str, Says("auto, native, linkbox or mininet. [auto]")]
    topology: Annotated[
        Place, Says("YAML like those in topologies/. [that of the flow]", as_path=True)
    ]


class RunWords(TypedDict, total=False):
    """How often, how long, and what else is measured."""

    runs: Annotated[int, Says("Frames per cell, exactly. [until its median is within 2 %]")]
    min_runs: Annotated[int, Says("Frames per cell at least, and inputs that they take. [3]")]
    max_runs: Annotated[int, Says("Frames per cell at most, where they do not agree. [9]")]
    blocks: Annotated[int, Says("How often the grid is measured, each time in another order. [1]")]
    budget: Annotated[
        str | float,
        Says("90s, 3m, 1h: measure what decides, and predict the rest. [measure all]"),
    ]
    until_sure: Annotated[bool, Says("Likewise, until each link's best is sure. [no]")]
    accuracy_frames: Annotated[
        int, Says("Of the input, at most, that lossy codecs are judged on. [100]")
    ]
    max_drop: Annotated[float, Says("Of accuracy: what loses more is not recommended. [0.01]")]
    warmup: Annotated[int, Says("Uncounted runs of each part. [1]")]
    delivery: Annotated[bool, Says("Send part 1 to the UE over the link, and time it. [yes]")]
    device_model: Annotated[
        Place,
        Says("FILE that is the device anchor: quantised, retrained. [the model]", as_path=True),
    ]
    part_coder: Annotated[
        str, Says("Of model data (orchestrate coders), in which it is sent. [as it is]")
    ]
    profile: Annotated[bool, Says("Profile the nodes first, and say how well that predicts. [yes]")]
    fps: Annotated[float, Says("Frames a second, for bit rates. [30]")]
    frame_timeout_s: Annotated[float, Says("When a node counts as hung. [by link and model]")]


class OutWords(TypedDict, total=False):
    """Where it is written."""

    out: Annotated[Place, Says("Folder. [runs/MODEL-TIME]", as_path=True)]


class TransitWords(TypedDict, total=False):
    """How models travel, by the names of Table 2.1.2.2-1."""

    coder_name: Annotated[
        Names, Says("Of model data, a list: int8,shuffle+zstd; or MODULE:CLASS.", also="--coder")
    ]
    data_set_name: Annotated[
        Place, Says("Picture, video, FOLDER or dataset (orchestrate datasets).", also="--input")
    ]
    calibration: Annotated[Place, Says("The partition `valid`, named as inputs are.")]
    accuracy_frames: Annotated[int, Says("Of the input, at most, that models are judged on. [100]")]
    scenario_name: Annotated[
        str, Says("A published one, NAME or MODULE:CLASS. [the model's task]", also="--scenario")
    ]
    enc_cfg_file_name: Annotated[Place, Says("FILE for a coder that is a CLASS.", as_path=True)]
    batch_size: Annotated[int, Says("Inputs at once, for such a scenario. [1]")]
    workers: Annotated[int, Says("That load inputs. [0: none besides]")]
    data_dir: Annotated[Place, Says("FOLDER of models and datasets. [.]", as_path=True)]
    out_dir: Annotated[Place, Says("Folder. [runs/models-MODEL-TIME]", as_path=True, also="--out")]
    unique_tag: Annotated[str, Says("Begins the name of every file.")]
    eval_compression: Annotated[bool, Says("Compress the model. [yes]")]
    eval_anchor: Annotated[bool, Says("Judge the anchor model. [yes]")]
    have: Annotated[
        Place,
        Says("FILE of a model that the UE has: what is not in it comes. [none]", as_path=True),
    ]
    download_only: Annotated[bool, Says("Have models and datasets here, and end. [no]")]
    disable_progress_bar: Annotated[bool, Says("Tell nothing of how it gets on. [no]")]
    runs: Annotated[int, Says("Deliveries over each link. [1]")]
    offline: Annotated[bool, Says("Send nothing, as the published scripts. [no]")]


class IncrementWords(TypedDict, total=False):
    """In which steps a model comes."""

    low_bits: Annotated[int, Says("Of a weight, at first: 4, 6 or 8. [8]")]
    high_bits: Annotated[int, Says("In the end: 6, 8 or 16. [16]")]
    progressive: Annotated[
        Numbers, Says("All steps instead, as 4,6,8,16; or NNC's quantisers, as -20,-38.")
    ]
    by_layer: Annotated[
        int,
        Says("Updates of each refinement, the weights first that outputs need most. [1: all]"),
    ]
    accuracy_frames: Annotated[int, Says("Of the input, at most, that models are judged on. [100]")]
    runs: Annotated[int, Says("Deliveries of each step over each link. [1]")]
    offline: Annotated[bool, Says("Send nothing. [no]")]
    out: Annotated[Place, Says("Folder. [runs/increments-MODEL-TIME]", as_path=True)]


class GrowWords(TypedDict, total=False):
    """How part 1 grows."""

    codec: Annotated[str, Says("Of intermediate data (orchestrate codecs). [raw]")]
    calibration: Annotated[
        Place, Says("Frames that the codec is calibrated on, named as inputs are.")
    ]
    input_codec: Annotated[str, Says("Of the input, until part 1 is there: raw, jpeg:75… [raw]")]
    part_coder: Annotated[
        str, Says("Of model data (orchestrate coders), in which part 1 comes. [dummy]")
    ]
    runs: Annotated[int, Says("Frames by the last split, at least. [3]")]
    out: Annotated[Place, Says("Folder. [runs/growth-MODEL-TIME]", as_path=True)]


GROUPS: Mapping[type, str] = {
    InputWords: "Input",
    ModelWords: "Model",
    SplitWords: "Splits",
    FlowWords: "Flow",
    CodecWords: "Codecs",
    LinkWords: "Link",
    ImpairmentWords: "Link",
    PaceWords: "UE",
    NodeWords: "Nodes",
    RunWords: "Run",
    OutWords: "Run",
}
"""Every group that a sweep takes, and the heading of its options in a command's help."""
HEADINGS = {
    **GROUPS,
    TransitWords: "Models in transit",
    IncrementWords: "Increments",
    GrowWords: "Growth",
}
"""Of other commands' groups, too."""


class SweepWords(
    InputWords,
    ModelWords,
    SplitWords,
    FlowWords,
    CodecWords,
    LinkWords,
    ImpairmentWords,
    PaceWords,
    NodeWords,
    RunWords,
    OutWords,
    total=False,
):
    """All that a sweep can be asked."""


class ModelSweepWords(TransitWords, ModelWords, LinkWords, ImpairmentWords, NodeWords, total=False):
    """All that a sweep of models in transit can be asked."""


class IncrementsWords(
    IncrementWords, InputWords, ModelWords, LinkWords, ImpairmentWords, NodeWords, total=False
):
    """All that a model in increments can be asked."""


class GrowthWords(
    GrowWords,
    InputWords,
    ModelWords,
    SplitWords,
    LinkWords,
    ImpairmentWords,
    NodeWords,
    total=False,
):
    """All that part 1, growing, can be asked."""


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
