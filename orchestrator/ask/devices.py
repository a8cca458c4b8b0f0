"""Devices that a UE can be as slow as: YAML files, each with where its figure is from."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from splitbed.checked import Frozen, one_line, text_named, yaml_mapping
from splitbed.errors import UsageError

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Watts = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Text = Annotated[str, Field(min_length=1)]

PROFILES: dict[str, Traversable] = {
    Path(item.name).stem: item
    for item in (files("orchestrator.ask") / "devices").iterdir()
    if item.name.endswith(".yaml")
}
"""The YAML files that come along, by name."""


class Power(Frozen):
    """What a device takes, as a model: the ``source`` says whose.

    ``idle_w`` as long as a frame is under way, ``cpu_w`` besides for each processor that computes:
    in J per second of CPU time; ``sending_w`` and ``receiving_w`` besides while something
    crosses, the link's delay included.
    """

    idle_w: _Watts
    cpu_w: _Watts
    sending_w: _Watts = 0.0
    receiving_w: _Watts = 0.0
    source: _Text

    def joules(
        self, wall_s: float, cpu_s: float, sending_s: float = 0.0, receiving_s: float = 0.0
    ) -> float:
        """What it takes in that time, of which it computes, sends and receives so long."""
        over_idle = self.cpu_w * cpu_s + self.sending_w * sending_s + self.receiving_w * receiving_s
        return self.idle_w * wall_s + over_idle


class UeProfile(Frozen):
    """One device: either its own speed, or how much slower it is than whatever it runs on.

    ``gmac_per_s`` is what a published time of a known model comes to, in 10^9
    multiply-accumulates per second.  ``threads`` are those that it computes with, if known.
    """

    name: _Text
    title: _Text
    source: _Text
    gmac_per_s: _Positive | None = None
    slowdown: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    threads: Annotated[int, Field(ge=1)] | None = None
    power: Power | None = None

    @model_validator(mode="after")
    def _has_one_speed(self) -> Self:
        if (self.gmac_per_s is None) == (self.slowdown is None):
            raise ValueError("give one of gmac_per_s and slowdown")
        return self


def load_profile(name: str) -> UeProfile:
    """The profile called ``name``, or in the YAML file ``name``; UsageError for what is none."""
    content = yaml_mapping(text_named(name, PROFILES, "UE profile"), f"the UE profile {name}")
    try:
        return UeProfile.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{name} is no UE profile: {one_line(error)}") from None


def power_of(name: str) -> Power:
    """The power of the profile called ``name``, or in that file; UsageError where it has none."""
    if (power := load_profile(name).power) is None:
        raise UsageError(
            f"--power: {name} does not say what the device takes; give its profile a `power:` with"
            " idle_w, cpu_w and their source (docs/resources.md)"
        )
    return power


def slowdown_for(profile: UeProfile, macs: int, full_ms: float) -> float:
    """How many times slower than here the device is: its time for ``macs`` over ``full_ms``.

    ``full_ms`` is what this machine takes for them without a limit.  A whole model gives the truest
    figure, since parts differ in how well they use a processor.  Raises UsageError where this
    machine is the slower one, and where nothing was computed.
    """
    if profile.gmac_per_s is None:
        return profile.slowdown or 1.0
    if macs <= 0 or full_ms <= 0:
        raise UsageError(
            f"the speed of {profile.name} cannot be compared: {macs} multiply-accumulates in"
            f" {full_ms:g} ms; compare with a part that computes something"
        )
    device_ms = macs / 1e6 / profile.gmac_per_s
    if device_ms < full_ms:
        raise UsageError(
            f"this machine cannot stand in for {profile.name}: {macs / 1e6:.0f} million"
            f" multiply-accumulates take {full_ms:.1f} ms here and {device_ms:.1f} ms there"
            f" ({profile.gmac_per_s:g} GMAC/s); take a faster machine or more --ue-threads"
        )
    return device_ms / full_ms
