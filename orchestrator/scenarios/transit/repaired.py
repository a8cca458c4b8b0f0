"""Transcripts that a vocabulary repaired, each of its likeliest words, and their error rates."""

from collections.abc import Mapping
from pathlib import Path

from orchestrator.testbed.local import LocalModel
from splitbed.media.speech.commands import VOCABULARY
from splitbed.metrics.wer import word_errors
from splitbed.runtime.session import PartSession
from splitbed.tasks.transcripts import Lexicon


def repaired_rates(local: LocalModel, files: Mapping[str, Path]) -> dict[str, float]:
    """Word error rates of model files by their keys, each transcript the vocabulary's likeliest.

    Nothing for what does not keep to the vocabulary, as other speech does not.
    """
    truth = [one.frame.transcript or "" for one in local.model.inputs if one.frame]
    if not {word for said in truth for word in said.lower().split()} <= set(VOCABULARY):
        return {}
    search, found = Lexicon(VOCABULARY), {}
    for name, file in files.items():
        graph, runtime = local.model.graph, local.model.runtime
        with PartSession(file, graph.inputs, graph.outputs, (), local.threads, runtime) as session:
            outputs = (session.run(one.tensors) for one in local.model.inputs)
            said = [search(next(iter(one.values()))[0]) for one in outputs]
        found[name] = word_errors(truth, said).rate or 0.0
    return found
