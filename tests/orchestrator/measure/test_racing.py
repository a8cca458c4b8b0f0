"""A race finds the winners of the whole grid, by simulation: no link, no nodes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from orchestrator.ask.flow import anchor_of
from orchestrator.ask.split_point import DEVICE_ANCHOR, NETWORK_ANCHOR
from orchestrator.measure.racing.beliefs import Beliefs, Errors, Prediction
from orchestrator.measure.racing.race import Entrant, Race, Seen
from orchestrator.results.profile import SHARE_DOUBT, CutSizes, NodeProfile, Profile, Span

SPLITS, LINKS_MBIT = 17, (5.0, 20.0, 100.0)
NODES, NETWORK = Errors(0.83, 1.43), Errors(0.95, 1.08)
FRAMES, FIXED_S = 5, 4.0


@dataclass
class World:
    """True times of 51 cells, and predictions that are wrong by up to 20 % or so."""

    dice: np.random.Generator
    wrong: float
    noise: float
    outline: bool = False
    """Whether nobody ran the layers: shares of part 1 are off by up to what they are doubted by."""
    true_ms: dict[str, float] = field(default_factory=dict)
    entrants: list[Entrant] = field(default_factory=list)

    def __post_init__(self) -> None:
        ue_slower = self.dice.choice([1.0, 3.0, 10.0])
        whole_ms = self.dice.uniform(50, 400)
        part1 = np.sort(np.concatenate([[0, 1], self.dice.uniform(0, 1, SPLITS - 2)]))
        kbytes = self.dice.lognormal(np.log(600), 1.0, SPLITS)
        kbytes[0], kbytes[-1] = 1080, 0.0
        run = np.exp(self.dice.normal(0, self.wrong))
        for split in range(SPLITS):
            nodes_ms = whole_ms * (ue_slower * part1[split] + 1 - part1[split])
            told_ms, doubt = nodes_ms, NODES
            if self.outline:
                told_ms, doubt = self._outlined(whole_ms, ue_slower, part1[split])
            own = run * np.exp(self.dice.normal(0, self.wrong))
            for rate in LINKS_MBIT:
                network_ms = kbytes[split] * 8 / rate
                key = f"{split} at {rate}"
                late = np.exp(self.dice.normal(0.01, 0.01))
                self.true_ms[key] = nodes_ms * own + network_ms * late
                anchor = anchor_of("uplink", f"{split}:{SPLITS - 1 - split}")
                told = Prediction(told_ms, network_ms, doubt, NETWORK, "", split, rate)
                self.entrants.append(Entrant(key, rate, anchor, told, FRAMES))

    def _outlined(self, whole_ms: float, ue_slower: float, share: float) -> tuple[float, Errors]:
        """What an outline tells of the nodes, and how wrong that may be."""
        edge = NodeProfile(steady_ms=whole_ms, paced_ms=whole_ms, layers=())
        told, k = share, 1
        if 0 < share < 1:
            told = float(np.clip(share + self.dice.uniform(-SHARE_DOUBT, SHARE_DOUBT), 0, 1))
        else:
            k = 2 * int(share)
        layers = [(0, 1, told * whole_ms), (1, 2, (1 - told) * whole_ms)]
        spans = [Span(first=a, last=b, name="x", op="Conv", ms=ms) for a, b, ms in layers]
        edge = edge.replaced(layers=tuple(spans))
        cuts = tuple(CutSizes(k=cut, intermediate_bytes=0) for cut in range(3))
        profile = Profile(ue=edge, edge=edge, cuts=cuts, outline=True)
        low, high = profile.share_errors((k,), ue_slower)
        nodes_ms = whole_ms * (ue_slower * told + 1 - told)
        return nodes_ms, Errors(NODES.low * low, NODES.high * high)

    def visit(self, key: str) -> Seen:
        frames = self.true_ms[key] * np.exp(self.dice.normal(0, self.noise, FRAMES))
        return Seen(float(np.median(frames)), True, FIXED_S + float(frames.sum()) / 1e3)

    def whole_s(self) -> float:
        return sum(FIXED_S + FRAMES * ms / 1e3 for ms in self.true_ms.values())

    def best_ms(self, rate: object) -> float:
        return min(ms for key, ms in self.true_ms.items() if key.endswith(f" at {rate}"))


def raced(world: World, budget_s: float = float("inf")) -> tuple[Race, dict[str, Seen], float]:
    race, seen, left_s = Race(world.entrants), dict[str, Seen](), budget_s
    while (key := race.next(seen, left_s)) is not None:
        assert key not in seen
        seen[key] = world.visit(key)
        left_s -= seen[key].wall_s
    return race, seen, sum(one.wall_s for one in seen.values())


def worlds(count: int, wrong: float, noise: float, *, outline: bool = False) -> Iterator[World]:
    for seed in range(count):
        yield World(np.random.default_rng(seed), wrong, noise, outline)


@pytest.mark.parametrize("wrong", [0.05, 0.1, 0.2])
def test_a_race_has_the_winners_of_the_whole_grid_in_95_of_100_and_a_fifth_of_its_time(
    wrong: float,
) -> None:
    """`wrong` is the spread of the prediction's common error, and again of each split's own."""
    found, shares, visits = [], [], []
    for world in worlds(100, wrong, noise=0.02):
        race, seen, took_s = raced(world)
        answers = race.answers(seen)
        assert all(answer.sure for answer in answers)
        late = [world.true_ms[one.best] / world.best_ms(one.question) - 1 for one in answers]
        found.append(max(late) <= 0.05)  # the margin, and two noisy medians of five frames
        shares.append(took_s / world.whole_s())
        visits.append(len(seen))
    assert sum(found) >= 95
    assert np.mean(shares) < 0.2
    assert np.mean(visits) < 13  # of 51


def test_a_race_by_the_whole_model_alone_has_them_too_in_a_quarter_of_the_time() -> None:
    """Shares of part 1 are off by up to 0.2 of the whole, on a UE up to ten times slower."""
    found, shares = [], []
    for world in worlds(100, 0.1, noise=0.02, outline=True):
        race, seen, took_s = raced(world)
        answers = race.answers(seen)
        late = [world.true_ms[one.best] / world.best_ms(one.question) - 1 for one in answers]
        found.append(max(late) <= 0.05)
        shares.append(took_s / world.whole_s())
    assert sum(found) >= 95
    assert np.mean(shares) < 0.25


def test_a_race_ends_within_its_budget_and_is_not_sure_then() -> None:
    for world in worlds(20, 0.1, noise=0.02):
        budget_s = 0.1 * world.whole_s()
        race, seen, took_s = raced(world, budget_s)
        assert took_s <= budget_s
        assert not all(answer.sure for answer in race.answers(seen))


def test_a_race_measures_both_anchors_and_a_split_over_every_link() -> None:
    for world in worlds(10, 0.1, noise=0.02):
        _, seen, _ = raced(world)
        for rate in LINKS_MBIT:
            kinds = {
                one.anchor for one in world.entrants if one.key in seen and one.question == rate
            }
            assert kinds == {DEVICE_ANCHOR, NETWORK_ANCHOR, None}


def test_a_cell_that_may_not_be_recommended_answers_nothing() -> None:
    world = next(worlds(1, 0.1, noise=0.02))
    race = Race(world.entrants)
    best = next(answer for answer in race.answers({}) if answer.question == 20.0)
    seen = {best.best: Seen(1.0, False, 5.0)}
    assert all(best.best not in {a.best, *a.needed, *a.open} for a in race.answers(seen))


def test_a_cell_that_failed_is_not_visited_again() -> None:
    world = next(worlds(1, 0.1, noise=0.02))
    race = Race(world.entrants)
    first = race.next({}, 1e9)
    assert first is not None
    assert race.next({}, 1e9, frozenset({first})) not in {first, None}


def test_what_was_measured_corrects_other_cells_most_of_all_those_of_its_split() -> None:
    told = {
        f"{split} at {rate}": Prediction(100, 50, NODES, NETWORK, "", split, rate)
        for split in "ab"
        for rate in (5, 20)
    }
    before = Beliefs(told).given({})
    after = Beliefs(told).given({"a at 5": 1.1 * before["a at 5"].ms})
    slower = {key: after[key].ms / before[key].ms for key in told}
    assert slower["a at 5"] == pytest.approx(1.1, rel=0.03)
    assert slower["a at 5"] > slower["a at 20"] > slower["b at 20"] > 1.02
    width = {key: one.sd for key, one in after.items()}
    assert width["a at 20"] < width["b at 20"] < before["b at 20"].sd


@pytest.mark.parametrize("count", [0, 3, 12])
def test_intervals_of_90_percent_have_at_least_88_of_100_true_times(count: int) -> None:
    inside = total = 0
    for world in worlds(100, 0.1, noise=0.02):
        told = {one.key: one.predicted for one in world.entrants}
        some = world.dice.choice([*told], count, replace=False)
        believed = Beliefs(told).given({str(key): world.visit(str(key)).ms for key in some})
        for key, ms in world.true_ms.items():
            if key not in some:
                inside += believed[key].low_ms <= ms <= believed[key].high_ms
                total += 1
    assert inside / total > 0.88
