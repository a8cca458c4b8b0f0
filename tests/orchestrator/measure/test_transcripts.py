"""A recogniser is fed sounds, and judged by the words that it gets right."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jiwer")

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.accuracy import Judge
from orchestrator.testbed.model import SweptModel, load_model
from orchestrator.transit.asked import model_sweep
from orchestrator.transit.run import run_model_sweep
from splitbed.errors import UsageError
from splitbed.media.sounds import wave_file
from splitbed.node.config import Limits
from splitbed.node.source.inputs import Source
from splitbed.tensors import Tensors
from splitbed.zoo.wav2vec2.graph import to_onnx
from splitbed.zoo.wav2vec2.layout import Layout
from splitbed.zoo.wav2vec2.model import drawn, folded

LAYOUT = Layout(
    "tiny", 16, 1, 2, 32, per_frame=False, norm_first=True, channels=8, positions=8, groups=2
)
SAID = "TURN LEFT", "GO ON", "STOP"


def recogniser(file: Path) -> str:
    model = to_onnx(LAYOUT, folded(drawn(LAYOUT.shapes, 1)), "drawn")
    file.write_bytes(model.SerializeToString())
    return str(file)


def folder(path: Path, samples: int = 3000) -> str:
    """A chapter in LibriSpeech's layout: noise, and what it is said to say."""
    (inside := path / "1" / "2").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for place in range(len(SAID)):
        noise = rng.integers(-9000, 9000, samples - 100 * place).astype(np.int16)
        (inside / f"1-2-{place}.wav").write_bytes(wave_file(noise, 16_000))
    lines = [f"1-2-{place} {said}\n" for place, said in enumerate(SAID)]
    (inside / "1-2.trans.txt").write_text("".join(lines))
    return str(path)


def loaded(path: Path, **options: object) -> SweptModel:
    (stored := path / "stored").mkdir()
    asked = {
        "model": recogniser(path / "tiny.onnx"), "input": folder(path / "read"), "runs": 3,
        "task": "transcript", "shape": "waveform=1x4000", **options,
    }  # fmt: skip
    return load_model(sweep_config(asked), stored)


def heard(*texts: str) -> dict[int, Tensors]:
    return {
        place: {"transcript": np.frombuffer(text.encode(), np.uint8)}
        for place, text in enumerate(texts)
    }


def test_the_accuracy_is_one_less_the_word_error_rate(tmp_path: Path) -> None:
    judge = Judge(loaded(tmp_path), heard(*SAID))
    assert (judge.whole.metric, judge.whole.value) == ("1 - WER", 1)
    judged = judge.judge(heard("TURN RIGHT", "GO ON", "STOP STOP"))
    assert judged.value == pytest.approx(1 - 2 / 5)
    assert judged.more["wer"] == pytest.approx(2 / 5)
    assert (judged.more["substitutions"], judged.more["insertions"]) == (1, 1)


def test_an_input_is_what_the_file_holds_levelled_and_filled_up(tmp_path: Path) -> None:
    first, second, _ = loaded(tmp_path).inputs
    wave = first.tensors["waveform"]
    assert wave.shape == (1, 4000) and abs(wave[0, :3000].std() - 1) < 1e-3
    assert not wave[0, 3000:].any()
    assert not second.tensors["waveform"][0, 2900:].any()


def test_a_node_makes_the_same_of_a_sound_that_it_is_sent(tmp_path: Path) -> None:
    (kept := tmp_path / "kept").mkdir()
    source = Source(kept, Limits())
    for one in loaded(tmp_path).inputs:
        number, made = source.add(one.message())
        assert np.array_equal(made["waveform"], one.tensors["waveform"])
        assert np.array_equal(source.tensors(number)["waveform"], made["waveform"])


def test_a_sound_that_is_longer_than_the_input_is_refused_before_the_sweep(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1-2-0\.wav lasts 0\.19 s.*--shape waveform=1x3000"):
        loaded(tmp_path, shape="waveform=1x2000")


def test_coders_of_a_recogniser_are_judged_by_words(tmp_path: Path) -> None:
    asked = {
        "model": recogniser(tmp_path / "tiny.onnx"), "data_set_name": folder(tmp_path / "read"),
        "task": "transcript", "shape": "waveform=1x4000", "coder_name": "dummy,int8+zstd",
        "offline": True, "out_dir": tmp_path / "out", "accuracy_frames": 3,
    }  # fmt: skip
    dummy, int8 = run_model_sweep(model_sweep(asked), lambda _: None).rows
    assert dummy.metric_name == "1 - WER" and dummy.rec_perf == dummy.anc_perf
    assert int8.valid and int8.rec_size is not None and int8.rec_size < dummy.anc_size
