"""What can be asked, in groups: every option once, for programs and for the command line.

A function of the door takes groups as keywords, a command takes them as options. What is not given
has the default that stands in [brackets]; :mod:`orchestrator.ask.sweep.config` holds and checks
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
    target_drop: Annotated[
        float,
        Says("For codecs given without a number, as klt: find one by which no more is lost."),
    ]
    target_kbit: Annotated[float, Says("Likewise, by which a frame takes no more.")]
    calibration: Annotated[
        Place, Says("Frames that codecs are calibrated on, a list named as inputs are.")
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
    power: Annotated[
        str | Mapping[str, str],
        Says("Models of what nodes take: ue=FILE.yaml,edge=FILE.yaml (docs/resources.md)."),
    ]


class LoadWords(TypedDict, total=False):
    """When frames are due, and how they wait."""

    ues: Annotated[
        int | str | Sequence[int],
        Says("How many share one link to the edge, a list: 1,2,4,8 (docs/links.md). [1]"),
    ]
    load: Annotated[
        Names, Says("closed, fps:30, poisson:20, burst:8/0.5, trace:FILE, a list. [closed]")
    ]
    in_flight: Annotated[int, Says("Frames under way at once, at most. [1]")]
    queue: Annotated[int, Says("Frames that may wait, where some are dropped. [1]")]
    drop: Annotated[
        str, Says("Which of those that wait: newest, oldest or none. [of fps oldest, else none]")
    ]
    deadline_ms: Annotated[float, Says("What takes longer from when it was due is late. [none]")]


class EdgeWords(TypedDict, total=False):
    """How the edge shares its work among frames."""

    edge_workers: Annotated[int, Says("So many run a part at once, whichever UE's. [1]")]
    edge_queue: Annotated[int, Says("Frames of a UE that may wait at the edge. [as at the source]")]
    batch: Annotated[str, Says("Run frames of one part together: max=8,wait=5ms. [each by itself]")]


class NodeWords(TypedDict, total=False):
    """The nodes, and what joins them."""

    ue_threads: Annotated[int, Says("0: all CPUs. [0]")]
    edge_threads: Annotated[int, Says("0: all CPUs. [0]")]
    ue_provider: Annotated[
        str, Says("What computes there: openvino:KEY=VALUE, xnnpack … (docs/providers.md).")
    ]
    edge_provider: Annotated[str, Says("The same on the edge.")]
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
    ue_precision: Annotated[
        str, Says("Of parts there, a list: fp32, fp16, int8 (docs/providers.md). [fp32]")
    ]
    edge_precision: Annotated[str, Says("The same on the edge. [fp32]")]
    profile: Annotated[bool, Says("Profile the nodes first, and say how well that predicts. [yes]")]
    fps: Annotated[float, Says("Frames a second, for bit rates. [30]")]
    frame_timeout_s: Annotated[float, Says("When a node counts as hung. [by link and model]")]


class OutWords(TypedDict, total=False):
    """Where it is written."""

    out: Annotated[Place, Says("Folder. [runs/MODEL-TIME]", as_path=True)]


GROUPS: Mapping[type, str] = {
    InputWords: "Input",
    ModelWords: "Model",
    SplitWords: "Splits",
    FlowWords: "Flow",
    CodecWords: "Codecs",
    LinkWords: "Link",
    ImpairmentWords: "Link",
    PaceWords: "UE",
    LoadWords: "Load",
    EdgeWords: "Load",
    NodeWords: "Nodes",
    RunWords: "Run",
    OutWords: "Run",
}
"""Every group that a sweep takes, and the heading of its options in a command's help."""
