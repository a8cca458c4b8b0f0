"""Classes as the published scripts of clause 2.1.2 take them: nothing of Splitbed is in them."""
# mypy: ignore-errors

import time

import numpy as np


class Linear:
    """A model of one matrix, with the methods that modules of torch have."""

    def __init__(self, weight):
        self._state = {"weight": weight}

    def state_dict(self):
        return self._state

    def load_state_dict(self, state):
        self._state = dict(state)


class Scenario:
    def __init__(self, opts):
        self.metric_name = "error"
        self.opts = opts
        self.downloads = 0

    def download_data_and_models(self):
        self.downloads += 1

    def get_model(self, pre_trained):
        assert self.downloads
        shape = (16, 16)
        rng = np.random.default_rng(0)
        return Linear(
            rng.standard_normal(shape, np.float32) if pre_trained else np.zeros(shape, np.float32)
        )

    def get_perf(self, model, partition, enforce_higher_is_better=False):
        start = time.monotonic()
        assert partition in ("test", "valid")
        truth = self.get_model(True).state_dict()["weight"]
        error = float(np.abs(model.state_dict()["weight"] - truth).max())
        perf = -error if enforce_higher_is_better else error
        return perf / self.opts.batch_size, time.monotonic() - start


class Coder:
    """The dummy of Table 2.1.2.6-1: parameters as unmodified 32-bit floating-point values."""

    def __init__(self, opts):
        self.__opts = opts

    def encode(self, model):
        perf, _ = self.__opts.scenario.get_perf(model, "valid", enforce_higher_is_better=True)
        assert np.isfinite(perf)
        with open(self.__opts.file_names["bit"], "wb") as file:  # noqa: PTH123  as they do
            for array in model.state_dict().values():
                file.write(np.asarray(array, np.float32).tobytes())

    def decode(self, rec_model):
        values = np.fromfile(self.__opts.file_names["bit"], np.float32)
        for name, array in rec_model.state_dict().items():
            count = array.size
            rec_model.state_dict()[name][...] = values[:count].reshape(array.shape)
            values = values[count:]


class Broken(Coder):
    def decode(self, rec_model):
        raise ValueError("no such thing")


class Unable(Coder):
    """Decodes where it has its scenario alone."""

    def decode(self, rec_model):
        if self._Coder__opts.scenario is None:
            raise OSError("not here")
        super().decode(rec_model)


class NoCoder:
    """Lacks what a coder has."""


class Unlucky(Scenario):
    def download_data_and_models(self):
        raise OSError("no data")
