"""What a sweep can be asked, on the command line and as YAML."""

from pathlib import Path

import pytest
import yaml

from orchestrator.ask.links import links_words
from orchestrator.ask.sweep.config import sweep_config
from splitbed.errors import UsageError

EVERY_OPTION = {
    "model": "ssd300",
    "split": "split_node_3,12:131",
    "bw": "5,20",
    "delay_ms": "0,10",
    "jitter_ms": "0",
    "loss_pct": "0,1",
    "ul": "queue_packets=500",
    "dl": "rate_mbit=100,delay_ms=1",
    "runs": 4,
    "warmup": 2,
    "ue_threads": 1,
    "edge_threads": 2,
    "shape": "image=1x3x300x300",
    "seed": 7,
}


def test_yaml_means_what_the_options_mean(tmp_path: Path) -> None:
    lines = [f"{key.replace('_', '-')}: {value}" for key, value in EVERY_OPTION.items()]
    (tmp_path / "sweep.yaml").write_text("\n".join(lines))
    assert sweep_config({}, tmp_path / "sweep.yaml") == sweep_config(EVERY_OPTION)


def test_yaml_lists_are_lists(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("model: m\nbw: [5, 20.5]\nul: {rate_mbit: 3}\n")
    config = sweep_config({}, tmp_path / "sweep.yaml")
    assert config.bw == (5, 20.5)
    assert config.ul.rate_mbit == 3


def test_an_option_given_overrides_the_file(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("model: m\nbw: 5\nruns: 9\n")
    config = sweep_config({"bw": "100"}, tmp_path / "sweep.yaml")
    assert (config.bw, config.runs) == ((100,), 9)


@pytest.mark.parametrize(
    "content", ["model: m\nbandwidth: 5\n", "- model\n", "model: [\n", "model: m\nul: {mbit: 3}\n"]
)
def test_yaml_that_is_not_a_sweep_is_refused_as_usage(tmp_path: Path, content: str) -> None:
    (tmp_path / "sweep.yaml").write_text(content)
    with pytest.raises(UsageError):
        sweep_config({}, tmp_path / "sweep.yaml")


def test_the_grid_is_every_combination_once() -> None:
    links = list(sweep_config({"model": "m", "bw": "5,20,5", "delay_ms": "0,10"}).links)
    assert [(s.uplink.rate_mbit, s.uplink.delay_ms) for s in links] == [
        (5, 0), (5, 10), (20, 0), (20, 10),
    ]  # fmt: skip


def test_links_that_the_overrides_make_the_same_are_one() -> None:
    same = {"model": "m", "bw": "50,100", "ul": "rate_mbit=100", "dl": "rate_mbit=100"}
    assert len(sweep_config(same).links) == 1
    assert len(sweep_config({"model": "m", "link": "lte,lte"}).links) == 1


def test_links_that_differ_in_anything_differ_in_words() -> None:
    grid = {"model": "m", "bw": "5,5.0000001", "delay_ms": "0,10", "loss_pct": "0,1"}
    links = sweep_config(grid).links
    links += sweep_config({**grid, "ul": "loss_pct=0.5"}).links
    links += sweep_config({**grid, "dl": "queue_packets=500"}).links
    assert len({link.words for link in links}) == len(set(links)) == 24


def test_a_split_can_be_a_yaml_list(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("model: m\nsplit: [split_node_3, '12:131']\n")
    assert sweep_config({}, tmp_path / "sweep.yaml").split == "split_node_3,12:131"


def test_one_direction_can_differ_from_the_swept_values() -> None:
    (link,) = sweep_config(
        {"model": "m", "bw": "5", "dl": "rate_mbit=100,delay_ms=3", "ul": "loss_pct=1"}
    ).links
    assert (link.uplink.rate_mbit, link.uplink.delay_ms, link.uplink.loss_pct) == (5, 0, 1)
    assert (link.downlink.rate_mbit, link.downlink.delay_ms, link.downlink.loss_pct) == (100, 3, 0)


def test_profiles_take_the_place_of_the_grid() -> None:
    (link,) = sweep_config({"model": "m", "link": "lte"}).links
    assert (link.uplink.rate_mbit, link.uplink.delay_ms) == (12, 35)


@pytest.mark.parametrize(
    "option",
    [
        {"bw": "0"}, {"bw": "-5"}, {"bw": "fast"}, {"bw": ""}, {"bw": "nan"},
        {"delay_ms": "-1"}, {"jitter_ms": "5"}, {"loss_pct": "101"}, {"loss_pct": "-1"},
        {"runs": 2}, {"warmup": -1}, {"ue_threads": -1}, {"seed": -1}, {"frame_timeout_s": 0},
        {"queue_packets": 0}, {"ul": "rate_mbit=0"}, {"ul": "speed=3"}, {"ul": "rate_mbit"},
        {"link": "carrier-pigeon"}, {"link": ""}, {"link": "lte", "bw": "7"},
        {"link": "lte", "ul": "rate_mbit=1"}, {"bw": True}, {"bw": [True]}, {"split": 210},
        {"warmup": 10**10}, {"ue_threads": 10**10}, {"edge_threads": 10**10}, {"seed": 10**20},
        {"queue_packets": 10**11}, {"frame_timeout_s": "inf"}, {"shape": "x=1xAx3"}, {"shape": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_values_that_cannot_be_are_refused_in_one_line(option: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refusal:
        sweep_config({"model": "m", **option})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"bw": "-5"}, "--bw -5: should be greater than 0"),
        ({"bw": "fast"}, "--bw fast: should be a valid number"),
        ({"bw": "5,,20"}, "--bw 5,,20: has a comma with nothing"),
        ({"ul": "loss_pct=1,"}, "--ul loss_pct=1,: has a comma with nothing"),
        ({"ul": "rate_mbit=0"}, "--ul rate_mbit=0: should be greater than 0"),
        ({"ue_slowdown": "x"}, "--ue-slowdown x: should be a valid number"),
        ({"runs": 9, "max_runs": 9}, "--runs 9 is exactly so many frames: give it, or --min-runs"),
        ({"min_runs": 9, "max_runs": 8}, "--min-runs 9 is more than --max-runs 8"),
        ({"runs": 1}, "--runs 1: should be greater than or equal to 3"),
        ({"bandwidth": 5}, "a sweep has no option 'bandwidth'; did you mean bw?"),
    ],
    ids=str,
)
def test_a_refusal_names_the_option_as_it_is_typed(option: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError) as refusal:
        sweep_config({"model": "m", **option})
    assert str(refusal.value).startswith(says)
    assert str(refusal.value).count("got") == 0


@pytest.mark.parametrize(
    ("option", "frames"),
    [
        ({}, (3, 9)),
        ({"runs": 7}, (7, 7)),
        ({"min_runs": 6}, (6, 9)),
        ({"min_runs": 30}, (30, 30)),
        ({"max_runs": 3}, (3, 3)),
        ({"min_runs": 4, "max_runs": 4}, (4, 4)),
    ],
)
def test_runs_are_exact_or_between_the_least_and_the_most(
    option: dict[str, object], frames: tuple[int, int]
) -> None:
    config = sweep_config({"model": "m", **option})
    assert (config.least_runs, config.most_runs) == frames


def test_a_sweep_of_nothing_says_how_to_name_a_model() -> None:
    with pytest.raises(UsageError, match="orchestrate models"):
        sweep_config({})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("3m", 180), ("3.5m", 210), ("1h", 3600), ("45", 45)]
)
def test_a_budget_is_a_time_with_its_unit(text: str, seconds: float) -> None:
    assert sweep_config({"model": "shapesnet", "budget": text}).budget == seconds


@pytest.mark.parametrize("text", ["", "3 minutes", "-1m", "0s", "3m30s", "nan"])
def test_a_budget_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        sweep_config({"model": "shapesnet", "budget": text})


def test_a_race_delivers_nothing_over_its_links_unless_it_is_asked_to() -> None:
    asked = {"model": "shapesnet", "until_sure": True}
    assert not sweep_config(asked).delivery
    assert sweep_config({**asked, "delivery": True}).delivery
    assert sweep_config({"model": "shapesnet"}).delivery


def test_of_a_race_until_it_is_sure_and_a_budget_whichever_comes_first_is_its_end() -> None:
    both = sweep_config({"model": "shapesnet", "until_sure": True, "budget": "3m"})
    assert both.races
    assert both.budget == 180  # which ends every race that is not sure before
    assert sweep_config({"model": "shapesnet", "until_sure": True}).budget is None


def test_a_race_without_a_profile_is_refused() -> None:
    with pytest.raises(UsageError, match="--no-profile"):
        sweep_config({"model": "shapesnet", "budget": "3m", "profile": False})


@pytest.mark.parametrize("told", ["avc:27,444,slow,uint8", ["avc:27,444,slow", "uint8"]])
def test_codecs_keep_the_words_behind_their_commas(told: object) -> None:
    asked = sweep_config({"model": "espcn", "input_codec": told})
    assert asked.input_codec == ("avc:27,444,slow", "uint8")


def test_codecs_of_outputs_are_for_a_flow_in_which_these_cross() -> None:
    with pytest.raises(UsageError, match="--flow call"):
        sweep_config({"model": "espcn", "output_codec": "avc"})
    asked = sweep_config({"model": "espcn", "output_codec": "avc", "flow": "call"})
    assert asked.output_codec == ("avc",)


CHAIN = {"model": "m", "flow": "chain", "bw": "5,20"}


def over(**asked: object) -> list[str]:
    """The links of the chain that are asked for."""
    return [links_words(links) for links in sweep_config(CHAIN | asked).flow_links]


def test_what_a_link_has_of_its_own_is_not_swept(tmp_path: Path) -> None:
    assert over() == ["5 Mbit/s", "20 Mbit/s"]
    assert over(link_of="backhaul:rate_mbit=50,delay_ms=3", loss_pct=1) == [
        "5 Mbit/s, 1 % loss and 50 Mbit/s, 3 ms, 1 % loss",
        "20 Mbit/s, 1 % loss and 50 Mbit/s, 3 ms, 1 % loss",
    ]
    both = over(link_of="access:lte,backhaul:delay_ms=3")
    assert both[0] == "12 Mbit/s, 35 ms and 5 Mbit/s, 3 ms"
    place = {"nodes": ["ue", "edge", "cloud"], "links": {
        "radio": {"ends": ["ue", "edge"]},
        "fibre": {"ends": ["edge", "cloud"], "shape": {"rate_mbit": 90, "delay_ms": 4}},
    }}  # fmt: skip
    (file := tmp_path / "chain.yaml").write_text(yaml.safe_dump(place | {"name": "ours"}))
    assert over(topology=file)[0] == "5 Mbit/s and 90 Mbit/s, 4 ms"
    asked = {"fibre": {"delay_ms": 7}}
    assert over(topology=file, link_of=asked)[0] == "5 Mbit/s and 90 Mbit/s, 7 ms"


def test_links_that_are_all_of_their_own_make_one_cell_also_when_resumed() -> None:
    config = sweep_config({"model": "m", "flow": "chain", "link_of": "access:lte,backhaul:5g"})
    assert len(config.flow_links) == 1
    assert sweep_config(config.model_dump(mode="json")).flow_links == config.flow_links


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"link_of": "backhall:lte"}, "no such link in the topology chain; did you mean backhaul"),
        ({"link_of": "backhaul:4gg"}, "no link profile is called '4gg'"),
        ({"link_of": "backhaul:bw=5"}, "bw is no key"),
        ({"link_of": "rate_mbit=5"}, "should name a link"),
        ({"link_of": "backhaul:rate_mbit=0"}, "the link backhaul cannot be: rate_mbit"),
        ({"link_of": "access:lte,backhaul:lte"}, "what is swept makes 2 links, of which 1"),
    ],
)
def test_what_a_link_cannot_have_is_refused(asked: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        over(**asked)
    assert says in str(refused.value)
