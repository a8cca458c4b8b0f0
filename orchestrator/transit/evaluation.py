"""The main evaluation process (Figure 2.1.2.1-1), for one coder after another, without a link.

anchor model ─> size, performance      encode ─> bitstream ─> decode ─> size, performance
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from orchestrator.results.archive import sha256_of
from orchestrator.results.run_folder import RunFolder
from orchestrator.transit.asked import ModelSweep
from orchestrator.transit.outcome import Told
from orchestrator.transit.published import TEST, Scenario, size_of, state_of
from orchestrator.transit.row import ModelRow
from splitbed.errors import RunError, SplitbedError
from splitbed.model_coders import coder_named
from splitbed.model_coders.decoder import rebuilt
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.published import CoderKind, Model, Options, coder_class, is_class
from splitbed.model_coders.quantised_onnx import plain
from splitbed.model_data import model_of, write_model
from splitbed.model_data.state import StateModel

_PIECE_BYTES = 1 << 20


class OwnCoder:
    """A coder of ours as the published scripts take one; any model with a state dict will do."""

    def __init__(self, opts: Options) -> None:
        self._coder = coder_named(opts.coder_name)
        self._bit, self._dec = Path(opts.file_names["bit"]), Path(opts.file_names["dec"])

    def encode(self, model: Model) -> None:
        """Write the bitstream."""
        given = model.file if isinstance(model, StateModel) else model_of(state_of(model))
        with self._bit.open("wb") as file:
            file.writelines(encode(given, self._coder))

    def decode(self, rec_model: Model) -> None:
        """Read it into the model, and write the decoded one as a file."""
        with self._bit.open("rb") as file:
            decoded = rebuilt(iter(partial(file.read, _PIECE_BYTES), b""))
        rec_model.load_state_dict(plain(decoded.state, state_of(rec_model)))
        write_model(decoded, self._dec)


class Evaluation:
    """Evaluates coders of the model of one scenario; bitstreams and models go to ``folder``."""

    def __init__(self, asked: ModelSweep, scenario: Scenario, folder: RunFolder) -> None:
        self._asked, self._scenario, self._folder = asked, scenario, folder.path
        with named(asked.scenario_name):
            self._anchor = scenario.get_model(pre_trained=True)
            anc_size, metric = size_of(self._anchor), scenario.metric_name
        self._row = ModelRow(
            anc_size=anc_size,
            metric_name=metric,
            coder_name="",
            scenario_name=asked.scenario_name,
            data_set_name=asked.data_set_name,
            model_name=asked.model_name,
            unique_tag=asked.unique_tag,
            eval_compression=asked.eval_compression,
            eval_anchor=asked.eval_anchor,
        )

    def run(self, told: Told, known: Collection[str] = ()) -> Iterator[ModelRow]:
        """One coder after another but those `known`; what goes wrong with one is in its row."""
        coders = [name for name in dict.fromkeys(self._asked.coder_name) if name not in known]
        if self._asked.eval_anchor and coders:
            told(f"evaluating {self._asked.model_name}, the anchor")
            with named(self._asked.scenario_name):
                perf, took_s = self._scenario.get_perf(self._anchor, TEST)
            self._row = replace(self._row, anc_perf=perf, anc_eval_time=took_s)
        for name in coders:
            if self._asked.eval_compression:
                told(f"coding {self._asked.model_name} as {name}")
            yield self._coded(name)

    def rebuilt(self, name: str) -> Path:
        """The file of the model that this coder was decoded to."""
        suffix = self._anchor.suffix if isinstance(self._anchor, StateModel) else ".dec"
        return file_of(self._folder, self._asked, name, suffix)

    def _coded(self, name: str) -> ModelRow:
        bit, dec = file_of(self._folder, self._asked, name, ".bit"), self.rebuilt(name)
        row = replace(self._row, coder_name=name)
        if not self._asked.eval_compression:
            return row
        opts = self._asked.options(name)
        opts.file_names, opts.scenario = {"bit": str(bit), "dec": str(dec)}, self._scenario
        try:
            row = self._compressed(row, coder_class(name) if is_class(name) else OwnCoder, opts)
        except SplitbedError as error:
            row = replace(row, valid=False, fault=str(error))
        return row

    def _compressed(self, row: ModelRow, kind: CoderKind, opts: Options) -> ModelRow:
        bit, dec = (Path(opts.file_names[which]) for which in ("bit", "dec"))
        with named(opts.scenario_name):
            rec_model = self._scenario.get_model(pre_trained=False)
        with named(opts.coder_name):
            coder = kind(opts)
            start_s = time.monotonic()
            coder.encode(self._anchor)
            encoded_s = time.monotonic()
            coder.decode(rec_model)
            decoded_s = time.monotonic()
            size = bit.stat().st_size
        with named(opts.scenario_name):
            perf, took_s = self._scenario.get_perf(rec_model, TEST)
        if isinstance(rec_model, StateModel) and is_class(opts.coder_name):
            write_model(rec_model.file, dec)
        return replace(
            row.coded(size, encoded_s - start_s, decoded_s - encoded_s),
            rec_perf=perf,
            rec_eval_time=took_s,
            bit_sha256=sha256_of(bit),
            rec_sha256=sha256_of(dec) if dec.exists() else None,
            model_bytes=dec.stat().st_size if dec.exists() else None,
        )


@contextmanager
def named(whose: str) -> Iterator[None]:
    """Turn whatever a user's class raises into a RunError that names it."""
    try:
        yield
    except SplitbedError:
        raise
    except Exception as error:
        raise RunError(f"{whose} failed: {type(error).__name__}: {error}") from error


def file_of(folder: Path, asked: ModelSweep, coder: str, suffix: str) -> Path:
    """Where a coder's file of this suffix is."""
    return folder / f"{asked.unique_tag}{file_name(coder)}{suffix}"


def file_name(coder: str) -> str:
    """What its files are called, but for their suffixes."""
    return coder.replace("/", "_").replace(":", "_")
