"""Named links, each with where its figures come from."""

from netem.spec import LinkSpec, Shape

_CLAUSE = "a bandwidth of clause 10.3.9.2 (FS_AI4Media), no delay"
_WEBPAGETEST = "WebPageTest's connectivity.ini, round trip halved"


def _even(rate_mbit: float, delay_ms: float = 0) -> LinkSpec:
    shape = Shape(rate_mbit=rate_mbit, delay_ms=delay_ms)
    return LinkSpec(uplink=shape, downlink=shape)


def _uneven(uplink_mbit: float, downlink_mbit: float, delay_ms: float) -> LinkSpec:
    return LinkSpec(
        uplink=Shape(rate_mbit=uplink_mbit, delay_ms=delay_ms),
        downlink=Shape(rate_mbit=downlink_mbit, delay_ms=delay_ms),
    )


_TABLE: dict[str, tuple[LinkSpec, str]] = {
    "5mbit": (_even(5), _CLAUSE),
    "20mbit": (_even(20), _CLAUSE),
    "100mbit": (_even(100), _CLAUSE),
    "3g": (_uneven(0.768, 1.6, 75), f"'3G Fast' of {_WEBPAGETEST}"),
    "4g": (_even(9, 85), f"'4G' of {_WEBPAGETEST}"),
    "lte": (_even(12, 35), f"'LTE' of {_WEBPAGETEST}"),
    "5g": (
        _uneven(25, 50, 4),
        "TS 22.261 table 7.1-1 urban macro (experienced rate); ITU-R M.2410 eMBB latency",
    ),
    "wifi": (_uneven(15, 30, 1), "'Wi-Fi' of Firefox's network throttling, latency halved"),
}

PROFILES: dict[str, LinkSpec] = {name: spec for name, (spec, _) in _TABLE.items()}
SOURCES: dict[str, str] = {name: source for name, (_, source) in _TABLE.items()}
