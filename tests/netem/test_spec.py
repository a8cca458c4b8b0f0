import pytest
from pydantic import ValidationError

from netem.backends import check_rates
from netem.link import Addresses
from netem.profiles import PROFILES, SOURCES
from netem.spec import LinkSpec, Shape, checked, symmetric
from splitbed.errors import UsageError


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"rate_mbit": 0}, "rate_mbit should be greater than 0 (got 0)"),
        ({"rate_mbit": -5}, "rate_mbit"),
        ({"rate_mbit": 1e-300}, "rate_mbit 1e-300 is below 0.001"),
        ({"rate_mbit": 1e300}, "rate_mbit"),
        ({"rate_mbit": 5, "delay_ms": 1e9}, "delay_ms"),
        ({"rate_mbit": 5, "queue_packets": 1 << 32}, "queue_packets"),
        ({"rate_mbit": float("nan")}, "rate_mbit"),
        ({"rate_mbit": float("inf")}, "rate_mbit"),
        ({"rate_mbit": "fast"}, "rate_mbit"),
        ({"rate_mbit": 5, "delay_ms": -1}, "delay_ms"),
        ({"rate_mbit": 5, "jitter_ms": -1}, "jitter_ms"),
        ({"rate_mbit": 5, "loss_pct": 101}, "loss_pct"),
        ({"rate_mbit": 5, "loss_pct": -1}, "loss_pct"),
        ({"rate_mbit": 5, "queue_packets": 0}, "queue_packets"),
        ({"rate_mbit": 5, "dealy_ms": 1}, "dealy_ms"),
        ({"rate_mbit": 5, "delay_ms": 1, "jitter_ms": 2}, "jitter_ms 2 exceeds delay_ms 1"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_one_line(
    values: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        checked(Shape, **values)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_queue_that_cannot_hold_the_packets_in_flight_is_refused() -> None:
    with pytest.raises(UsageError, match="1652 packets"):
        symmetric(rate_mbit=200, delay_ms=100)
    assert symmetric(rate_mbit=200, delay_ms=100, queue_packets=2000)


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        setattr(Shape(rate_mbit=5), "rate_mbit", 6)  # noqa: B010 (mypy refuses it, too)


def test_a_spec_survives_json() -> None:
    spec = LinkSpec(uplink=Shape(rate_mbit=5, delay_ms=1), downlink=Shape(rate_mbit=20))
    assert LinkSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_full_frame_at_5_mbit_takes_2_4_ms() -> None:
    assert Shape(rate_mbit=5).serialisation_ms(1514) == pytest.approx(2.4224)


def test_every_profile_says_where_its_figures_come_from() -> None:
    assert PROFILES.keys() == SOURCES.keys()
    assert all(SOURCES.values())


@pytest.mark.parametrize("rate_mbit", [5, 20, 100])
def test_the_bandwidths_of_clause_10_3_9_2_have_profiles(rate_mbit: int) -> None:
    assert PROFILES[f"{rate_mbit}mbit"] == symmetric(rate_mbit=rate_mbit)


def test_every_profile_is_within_the_link_box() -> None:
    for spec in PROFILES.values():
        check_rates("linkbox", spec)


def test_a_rate_beyond_a_backend_names_the_one_that_could() -> None:
    with pytest.raises(UsageError, match=r"300 Mbit/s .* linkbox .* native .* could"):
        check_rates("linkbox", symmetric(rate_mbit=300))
    check_rates("native", symmetric(rate_mbit=300))


def test_a_rate_beyond_every_backend_says_so() -> None:
    with pytest.raises(UsageError, match="no backend could"):
        check_rates("native", symmetric(rate_mbit=20_000))


def test_the_ends_take_the_first_two_addresses_of_the_subnet() -> None:
    assert Addresses.of("10.77.0.0/24") == Addresses("10.77.0.1", "10.77.0.2", 24)


@pytest.mark.parametrize("subnet", ["10.77.0.0/32", "10.77.0.1/24", "net", ""])
def test_a_subnet_that_cannot_be_is_refused(subnet: str) -> None:
    with pytest.raises(UsageError, match="subnet"):
        Addresses.of(subnet)


def test_an_outage_of_whatever_length_is_a_link_that_can_be() -> None:
    link = symmetric(rate_mbit=1000, delay_ms=20, queue_packets=10_000)
    held = link.held(1e9)
    assert held.uplink.delay_ms == 3_600_000
    assert held.uplink.queue_packets >= held.uplink.packets_in_flight
    assert link.held(1000).uplink.delay_ms == 1020


def test_what_is_just_inside_can_be() -> None:
    for rate_mbit in (1e-3, 1e6):
        assert Shape(rate_mbit=rate_mbit).rate_mbit == rate_mbit
    assert Shape(rate_mbit=0.1, delay_ms=3.6e6, queue_packets=(1 << 32) - 1).delay_ms == 3.6e6
