"""A scenario of models in transit: a model of three numbers, which is as good as their mean."""
# mypy: ignore-errors

import time

import numpy as np


class Model:
    """Three numbers."""

    def __init__(self, numbers):
        self._state = {"numbers": np.array(numbers, np.float32)}

    def state_dict(self):
        """Its tensors."""
        return self._state

    def load_state_dict(self, state):
        """Have others."""
        self._state = dict(state)


class Scenario:
    """The interface of clause 2.1.2.4."""

    def __init__(self, opts):
        self.metric_name = "mean"

    def download_data_and_models(self):
        """There is nothing to download."""

    def get_model(self, pre_trained):
        """The model, or one of nought."""
        return Model([1, 2, 3] if pre_trained else [0, 0, 0])

    def get_perf(self, model, partition, enforce_higher_is_better=False):
        """The mean, and how long that took."""
        start_s = time.monotonic()
        return float(model.state_dict()["numbers"].mean()), time.monotonic() - start_s
