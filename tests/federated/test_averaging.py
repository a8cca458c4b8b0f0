"""Federated averaging, held against a loop in numpy."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from splitbed.errors import NodeError
from splitbed.federated.averaging import Answer, Gathered
from splitbed.federated.classifier import State, accuracy, fresh, trained
from splitbed.federated.drawn import HELD_OUT_SEED, Samples, drawn, shares
from splitbed.federated.part import Training, part, reduced
from splitbed.federated.travel import packed, unpacked
from splitbed.tasks.classes import SHAPES

HOW = Training(epochs=1, rate=0.1, seed=3, coder="dummy")


@pytest.fixture(scope="module")
def samples() -> Samples:
    return drawn(120, seed=0)


@pytest.fixture(scope="module")
def owned(samples: Samples) -> list[Samples]:
    return [samples.at(places) for places in shares(samples.labels, 3, 0.5, seed=1)]


def numpy_mean(state: State, owned: list[Samples], coder: str = "dummy") -> State:
    """FedAvg as its paper has it: the models of the UEs, weighted by their samples."""
    count = sum(len(own.labels) for own in owned)
    mean = {name: np.zeros(values.shape) for name, values in state.items()}
    for own in owned:
        new = trained(state, own, epochs=HOW.epochs, rate=HOW.rate, seed=HOW.seed)
        update = unpacked(packed({name: new[name] - state[name] for name in state}, coder))
        for name in state:
            mean[name] += len(own.labels) / count * (state[name].astype(float) + update[name])
    return {name: values.astype(np.float32) for name, values in mean.items()}


@pytest.mark.parametrize("coder", ["dummy", "fp16", "int8+zstd"])
def test_the_mean_is_that_of_a_loop_in_numpy(owned: list[Samples], coder: str) -> None:
    state = fresh(16, seed=0)
    how = replace(HOW, coder=coder)
    whole = reduced(
        part(f"ue-{n}", packed(state, "dummy"), own, how) for n, own in enumerate(owned)
    )
    got, due = whole.onto(state), numpy_mean(state, owned, coder)
    for name, values in due.items():
        np.testing.assert_allclose(got[name], values, atol=1e-6, rtol=0)
        assert np.abs(got[name] - state[name]).max() > 1e-4  # it has learnt something


def test_the_order_of_the_updates_does_not_matter(owned: list[Samples]) -> None:
    state = fresh(16, seed=0)
    model = packed(state, "dummy")
    parts = [part(f"ue-{n}", model, own, HOW) for n, own in enumerate(owned)]
    first, *others = [reduced(order).onto(state) for order in permutations(parts)]
    nested = parts[0].plus(parts[1].plus(parts[2])).onto(state)
    for other in (*others, nested):
        for name, values in first.items():
            np.testing.assert_allclose(other[name], values, atol=1e-7, rtol=0)


def test_who_is_missing_has_no_weight(owned: list[Samples]) -> None:
    state = fresh(16, seed=0)
    model = packed(state, "dummy")
    here = [part(f"ue-{n}", model, own, HOW) for n, own in enumerate(owned[:2])]
    whole = reduced([here[0], Gathered((Answer("ue-2", missing="killed"),)), here[1]])
    assert [answer.ue for answer in whole.there] == ["ue-0", "ue-1"]
    for name, values in numpy_mean(state, owned[:2]).items():
        np.testing.assert_allclose(whole.onto(state)[name], values, atol=1e-6, rtol=0)


def test_a_round_of_nobody_leaves_the_model_as_it_is() -> None:
    state = fresh(16, seed=0)
    assert Gathered((Answer("ue-0", missing="killed"),)).onto(state) == state


def test_a_damaged_update_costs_its_ue_alone(owned: list[Samples]) -> None:
    state = fresh(16, seed=0)
    parts = [part(f"ue-{n}", packed(state, "dummy"), own, HOW) for n, own in enumerate(owned)]
    flipped = bytearray(parts[1].coded)
    flipped[-40] ^= 1
    whole = reduced([parts[0], replace(parts[1], coded=bytes(flipped)), parts[2]])
    assert [answer.ue for answer in whole.there] == ["ue-0", "ue-2"]
    assert "its update is damaged" in whole.answers[1].missing
    expected = numpy_mean(state, [owned[0], owned[2]])
    for name, values in expected.items():
        np.testing.assert_allclose(whole.onto(state)[name], values, atol=1e-6, rtol=0)


def test_training_that_diverges_is_told_and_not_averaged(owned: list[Samples]) -> None:
    state = fresh(16, seed=0)
    with np.errstate(all="ignore"):
        one = part("ue-0", packed(state, "dummy"), owned[0], replace(HOW, rate=1e30))
    assert "NaN" in one.answers[0].missing
    assert not one.there


def test_updates_of_another_model_are_refused(owned: list[Samples]) -> None:
    other = {"more.weight": np.zeros((2, 2), np.float32)}
    whole = reduced([part("ue-0", packed(fresh(16, 0), "dummy"), owned[0], HOW)])
    with pytest.raises(NodeError, match="another model"):
        whole.onto(other)


def test_shares_are_skewed_and_hold_every_sample_once(samples: Samples) -> None:
    own = shares(samples.labels, 3, 0.3, seed=1)
    assert sorted(np.concatenate(own).tolist()) == list(range(120))
    assert min(map(len, own)) >= 4
    counts = [np.bincount(samples.labels[places], minlength=len(SHAPES)) for places in own]
    assert max(count.max() / count.sum() for count in counts) > 0.3  # even: one in six
    again = shares(samples.labels, 3, 0.3, seed=1)
    assert all(np.array_equal(one, two) for one, two in zip(own, again, strict=True))


def test_training_on_all_samples_learns_the_shapes(samples: Samples) -> None:
    state: State = fresh(16, seed=0)
    held_out = drawn(60, HELD_OUT_SEED)
    before = accuracy(state, held_out)
    state = trained(state, samples, epochs=8, rate=0.1, seed=0)
    assert accuracy(state, held_out) > before + 0.2
