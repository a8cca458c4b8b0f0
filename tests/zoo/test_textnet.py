"""TextNet tells what follows in a text, however that is filled up."""

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from splitbed.media.datasets import open_dataset
from splitbed.media.text.tokens import decoded
from splitbed.metrics.language.perplexity import next_tokens
from splitbed.tasks import TASKS
from splitbed.zoo import ZOO, Variant, textnet
from splitbed.zoo.layers import Floats

MODEL = ZOO["textnet"]
TEXTS = 30
PERPLEXITY = 2.0  # of all 200 texts it is 1.94
SCRIPT = Path(__file__).parents[2] / "scripts/train-textnet"


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    file, origin = MODEL.build(Variant("onnx"))
    assert origin.startswith("trained on generated sentences (seed 1), sha256:")
    return ort.InferenceSession(file, providers=["CPUExecutionProvider"])


def logits(session: ort.InferenceSession, tokens: list[int]) -> Floats:
    found: list[Floats] = session.run(None, {"tokens": np.array([tokens])})
    return found[0]


def test_it_was_trained_on_sentences_like_those_that_it_is_judged_by(
    session: ort.InferenceSession,
) -> None:
    texts = [decoded(one.read(), one.name) for one in open_dataset("sentences").frames[:TEXTS]]
    task = TASKS["next-token"]
    said = [task.decode({"logits": logits(session, one.tolist())}, ()) for one in texts]
    judged = next_tokens([one["log_probabilities"] for one in said], [one[1:] for one in texts])
    assert judged.perplexity is not None and judged.perplexity < PERPLEXITY


def test_what_fills_a_text_up_changes_nothing_of_it(session: ort.InferenceSession) -> None:
    text = list(b"set the timer at")
    long = logits(session, text + [0] * 20)
    assert np.allclose(long[:, : len(text)], logits(session, text), atol=1e-4)
    assert long.shape == (1, 36, textnet.VOCABULARY)


def test_it_is_the_network_that_was_trained(session: ort.InferenceSession) -> None:
    torch = pytest.importorskip("torch")
    loader = SourceFileLoader("train_textnet", str(SCRIPT))
    spec = importlib.util.spec_from_loader("train_textnet", loader)
    assert spec is not None
    loader.exec_module(script := importlib.util.module_from_spec(spec))
    state, _ = textnet.load(textnet.TRAINED)
    net = script.Net()
    net.load_state_dict({name: torch.tensor(values) for name, values in state.items()})
    tokens = np.random.default_rng(0).integers(0, 256, (1, 50))
    with torch.inference_mode():
        told = net(torch.tensor(tokens)).numpy()
    assert np.allclose(told, logits(session, tokens[0].tolist()), atol=1e-4)
    assert sum(values.size for values in state.values()) == MODEL.parameters
