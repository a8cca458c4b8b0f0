"""What can be asked of models in transit; :mod:`orchestrator.api.options` has what a sweep can."""

from collections.abc import Mapping
from typing import Annotated, TypedDict

from orchestrator.api.options import (
    ImpairmentWords,
    InputWords,
    LinkWords,
    ModelWords,
    Names,
    NodeWords,
    Numbers,
    Place,
    Says,
    SplitWords,
)


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
    batch_size: Annotated[int, Says("Inputs at once, where it is judged here. [1]")]
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
    accuracy_frames: Annotated[int, Says("Of the input, at most, that splits are judged on. [100]")]
    runs: Annotated[int, Says("Frames by the last split, at least. [3]")]
    out: Annotated[Place, Says("Folder. [runs/growth-MODEL-TIME]", as_path=True)]


TRANSIT_GROUPS: Mapping[type, str] = {
    TransitWords: "Models in transit",
    IncrementWords: "Increments",
    GrowWords: "Growth",
}
"""The groups of their own, and the headings of these."""


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
