"""The speech recognisers of clause 10.1; listing them imports neither onnx nor numpy."""

from functools import partial

from splitbed.media.recipes import SoundRecipe
from splitbed.zoo.anchor_model import AnchorModel, Variant

SAMPLES = 48_080  # 3 s, and 150 frames
LAYERS = {"speechnet": 4, "wav2vec2-base": 12, "hubert-large": 24}


def _build(variant: Variant, name: str) -> tuple[bytes, str]:
    from splitbed.zoo.wav2vec2 import layout, model

    return model.build(layout.LAYOUTS[name], variant.seed, variant.weights)


def _named_splits(name: str) -> dict[str, str]:
    """Behind the extractor, behind what tells positions, and behind each quarter of the layers."""
    root, layers = "/encoder/transformer", LAYERS[name]
    last = "final_layer_norm/LayerNormalization" if name == "wav2vec2-base" else "Add_2"
    return {
        "extractor": "/feature_extractor/Transpose:after",
        "positions": f"{root}/Add:after",
        **{
            f"layer{at}": f"{root}/layers/{at - 1}/{last}:after"
            for at in range(layers // 4, layers, layers // 4)
        },
    }


def _recogniser(
    name: str, title: str, source: str, parameters: int, *, levelled: bool
) -> AnchorModel:
    return AnchorModel(
        name=name,
        title=title,
        source=source,
        build=partial(_build, name=name),
        formats=("onnx",),
        named_splits=_named_splits(name),
        picture=None,
        sound=SoundRecipe(SAMPLES, levelled=levelled),
        task="transcript",
        parameters=parameters,
        dataset="speech",
        shape={"waveform": (1, SAMPLES)},
    )


RECOGNISERS: dict[str, AnchorModel] = {
    one.name: one
    for one in (
        _recogniser(
            "speechnet",
            title="SpeechNet, Splitbed's own small recogniser of spoken commands, trained",
            source="clause 10.1, for accuracy without a download; scripts/train-speechnet",
            parameters=1_225_725,
            levelled=True,
        ),
        _recogniser(
            "wav2vec2-base",
            title="wav2vec 2.0 base, speech to 29 labels",
            source="clause 10.1.4; torchaudio WAV2VEC2_ASR_BASE_960H",
            parameters=94_393_245,
            levelled=False,
        ),
        _recogniser(
            "hubert-large",
            title="HuBERT large, speech to 29 labels",
            source="clause 10.1.4; torchaudio HUBERT_ASR_LARGE",
            parameters=315_463_837,
            levelled=True,
        ),
    )
}
