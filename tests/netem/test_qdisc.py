import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem import qdisc
from netem.spec import Shape
from splitbed.errors import LinkError

PRINTED = (
    '[{"kind":"netem","handle":"8001:","root":true,"refcnt":2,"options":{"limit":77,'
    '"delay":{"delay":0.01,"jitter":0.002,"correlation":0},"loss-random":{"loss":0.01,'
    '"correlation":0},"rate":{"rate":2500000,"packetoverhead":0,"cellsize":0,"celloverhead":0},'
    '"ecn":false,"gap":0}},{"kind":"ingress","handle":"ffff:","parent":"ffff:fff1","options":{}}]'
)
"""What iproute2 6.1 prints for 20 Mbit/s, 10 ± 2 ms, 1 %, 77 packets."""


def test_every_parameter_is_given_even_when_it_is_zero() -> None:
    # netem keeps the earlier rate when a change gives none.
    assert qdisc.netem(Shape(rate_mbit=5)) == (
        "netem limit 1000 delay 0.000000ms 0.000000ms loss random 0.000000% rate 5000000bit"
    )


def test_a_batch_shapes_and_then_reads_back() -> None:
    first, second = qdisc.batch("vec1", Shape(rate_mbit=5)).splitlines()
    assert first.startswith("qdisc replace dev vec1 root netem limit 1000 ")
    assert second == "qdisc show dev vec1"


def test_what_tc_prints_is_read_in_our_units() -> None:
    assert qdisc.parse(PRINTED) == Shape(
        rate_mbit=20, delay_ms=10, jitter_ms=2, loss_pct=1, queue_packets=77
    )


def test_a_netem_without_delay_or_loss_is_read() -> None:
    options = '{"limit":1000,"rate":{"rate":625000},"ecn":false,"gap":0}'
    printed = f'[{{"kind":"netem","root":true,"options":{options}}}]'
    assert qdisc.parse(printed) == Shape(rate_mbit=5)


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "[]",
        "Error: what",
        '[{"kind":"noqueue","root":true}]',
        '[{"kind":"netem","root":true,"options":{"limit":1000}}]',
    ],
)
def test_an_interface_without_a_rated_netem_is_an_error(printed: str) -> None:
    with pytest.raises(LinkError, match="no netem"):
        qdisc.parse(printed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate_mbit", 20.1),
        ("delay_ms", 9.9),
        ("jitter_ms", 0.1),
        ("loss_pct", 1.1),
        ("queue_packets", 999),
    ],
)
def test_a_value_that_the_kernel_did_not_take_is_named(name: str, value: float) -> None:
    asked = Shape(rate_mbit=20, delay_ms=10, loss_pct=1)
    with pytest.raises(LinkError, match=f"uplink.*{name} is {value:g}"):
        qdisc.compare(asked, asked.model_copy(update={name: value}), "uplink")


@given(
    rate_mbit=st.floats(0.01, 1000),
    delay_ms=st.floats(0, 500),
    jitter_share=st.floats(0, 1),
    loss_pct=st.floats(0, 100),
)
def test_the_rounding_of_tc_is_not_a_difference(
    rate_mbit: float, delay_ms: float, jitter_share: float, loss_pct: float
) -> None:
    asked = Shape(
        rate_mbit=rate_mbit,
        delay_ms=delay_ms,
        jitter_ms=delay_ms * jitter_share,
        loss_pct=loss_pct,
        queue_packets=10**6,
    )
    qdisc.compare(asked, qdisc.parse(_as_tc_prints(asked)), "uplink")


def _as_tc_prints(shape: Shape) -> str:
    def six_digits(value: float) -> float:
        return float(f"{value:g}")

    options: dict[str, Any] = {
        "limit": shape.queue_packets,
        "delay": {
            "delay": six_digits(int(shape.delay_ms * 1e3) / 1e6),
            "jitter": six_digits(int(shape.jitter_ms * 1e3) / 1e6),
        },
        "loss-random": {"loss": six_digits(shape.loss_pct / 100)},
        "rate": {"rate": int(shape.rate_mbit * 1e6) // 8},
    }
    return json.dumps([{"kind": "netem", "root": True, "options": options}])
