"""What a sweep is asked to do: the options of `orchestrate sweep`, or the same as YAML."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import ValidationError, model_validator

from netem.spec import LinkSpec
from orchestrator.ask.flow import UPLINK, flow_named
from orchestrator.ask.links import LinkOptions, OwnShape
from orchestrator.ask.load import LEAST_TOLD
from orchestrator.ask.sweep.options import MAX_DROP, SweepOptions
from orchestrator.ask.topology import Namespaces
from splitbed.checked import one_line, read_yaml
from splitbed.codecs import RAW
from splitbed.errors import UsageError, did_you_mean

SWEPT = ("bw", "delay_ms", "jitter_ms", "loss_pct", "link")
_ALSO = {"bandwidth": "bw", "rate": "bw", "latency": "delay_ms", "frames": "runs"}


class SweepConfig(SweepOptions):
    """One sweep: options that can be measured together; UsageError for others."""

    @model_validator(mode="after")
    def _can_be_measured(self) -> Self:
        if self.runs and (self.min_runs or self.max_runs):
            raise UsageError(
                f"--runs {self.runs} is exactly so many frames: give it, or --min-runs and "
                "--max-runs, not both"
            )
        if self.least_runs > self.most_runs:
            raise UsageError(
                f"--min-runs {self.min_runs} is more than --max-runs {self.max_runs}: give fewer"
            )
        if self.part_coder:
            self._check_part_coder()
        if self.device_model and (self.flow != UPLINK or self.races):
            why = self._race if self.races else f"--flow {self.flow}"
            raise UsageError(
                f"--device-model {self.device_model} is measured in the flow uplink, and neither "
                f"profiled nor predicted: leave {why}"
            )
        if self.precise:
            self._check_precise()
        self._check_flow()
        self._check_loads()
        _ = self.target, self.powers
        named = self.place.ues if isinstance(self.place, Namespaces) else ()
        self.edge_work.check(
            offered=any(load.offered for load in self.loads),
            several=max(self.ues or (len(named),)) > 1,
        )
        if self.races and self.blocks > 1:
            raise UsageError(
                f"{self._race} leaves cells out, --blocks {self.blocks} measures each so often: "
                "give one of them"
            )
        if self.races and not self.profile:
            raise UsageError(
                f"{self._race} chooses by what a profile predicts: give no --no-profile"
            )
        return self

    @cached_property
    def flow_links(self) -> tuple[tuple[LinkSpec, ...], ...]:
        """For each link that is asked for, once, all of the flow, in its order; UsageError."""
        found = dict.fromkeys(map(self.over, self.links))
        usual = [LinkOptions.model_fields[name].default for name in SWEPT]
        if len(found) < len(self.links) and usual != [getattr(self, name) for name in SWEPT]:
            raise UsageError(
                f"what is swept makes {len(self.links)} links, of which {len(found)} are left by "
                f"what {' and '.join(self.own_shapes)} have of their own: give as many, or less of "
                "that"
            )
        return tuple(found)

    def over(self, link: LinkSpec) -> tuple[LinkSpec, ...]:
        """All links of the flow, in its order, where others are as this one; UsageError."""
        return tuple(own.over(link, name) for name, own in self.own_shapes.items())

    @cached_property
    def traces(self) -> dict[str, str]:
        """What is kept of each trace, its UEs' own with them, by the word that asks for it."""
        ues = self.place.ues.values() if isinstance(self.place, Namespaces) else ()
        words = (*self.load, *(one.load for one in ues if one.load))
        texts = {word: self.load_named(word).trace_text for word in words}
        return {word: text for word, text in texts.items() if text}

    @cached_property
    def own_shapes(self) -> dict[str, OwnShape]:
        """What each link of the flow has of its own, in its order; UsageError.

        An option goes before the topology's file.
        """
        names = {one.ends: name for name, one in self.place.links.items()}
        of_flow = [names[ends] for ends in flow_named(self.flow).links]
        for name in self.link_of:
            if name not in of_flow:
                meant = did_you_mean(name, of_flow, otherwise=";")
                raise UsageError(
                    f"--link-of {name}: the flow {self.flow} has no such link in the topology "
                    f"{self.place.name}{meant} its links are {', '.join(of_flow)}"
                )
        if self.link_of and self.shared:
            raise UsageError(
                f"--link-of {next(iter(self.link_of))}: the links of {self.place.name} are one, "
                "which has what is swept: leave it"
            )
        found = {name: self.place.links[name].shape for name in of_flow}
        return found | {name: found[name].but(asked) for name, asked in self.link_of.items()}

    def _check_part_coder(self) -> None:
        # late, since few sweeps code parts
        from splitbed.model_coders import coder_named

        coder_named(self.part_coder)
        if not self.delivery:
            raise UsageError(
                f"--part-coder {self.part_coder} codes parts that are delivered: give --delivery"
            )
        if flow_named(self.flow).besides:
            raise UsageError(
                f"--part-coder {self.part_coder}: the flow {self.flow} delivers heads, and what "
                "they lose is not judged: give another flow, or none"
            )

    def _check_precise(self) -> None:
        if self.races:
            self.only_fp32(f"{self._race} goes by a profile of the model as it is")
        if self.device_model:
            self.only_fp32(f"the device model {self.device_model} computes in what its file says")
        if flow_named(self.flow).besides:
            self.only_fp32(f"the flow {self.flow} has heads, and what they lose is not judged")

    def only_fp32(self, why: str) -> None:
        """Raise UsageError where a part is to be of another precision than the model."""
        if self.precise:
            raise UsageError(f"{self.precise}: {why}: leave one of them")

    def _check_flow(self) -> None:
        flow = flow_named(self.flow)
        if not flow.codes_outputs and self.output_codec != (RAW,):
            raise UsageError(
                "--output-codec codes what a whole model gives, and in the flow "
                f"{self.flow} results cross instead: give it with --flow call"
            )
        if self.shared and len(flow.users) == 1:
            raise UsageError(
                f"--topology {self.topology}: what comes from the edge shares a link, and in the "
                f"flow {self.flow} it comes to one user: leave shared, or give --flow multi-head"
            )
        if self.races and self.shared:
            raise UsageError(
                f"{self._race} predicts links that nobody shares, and those of {self.place.name} "
                "are one: leave it"
            )
        if self.heads and not flow.besides:
            raise UsageError(
                f"--heads says what each of several users gets, and the flow {self.flow} has one: "
                "give it with --flow multi-head"
            )
        if self.private_layers is not None and self.flow != UPLINK:
            first = flow.node_of(1)
            why = f"the first are on {first}" if first != "ue" else f"there are {flow.parts} parts"
            raise UsageError(
                "--private-layers leaves the first layers on the UE, all others on the edge, and "
                f"in the flow {self.flow} {why}: give it with --flow uplink"
            )

    def _check_loads(self) -> None:
        if not (offered := [load for load in self.loads if load.offered]):
            return
        load = offered[0]
        few = [one for one in offered if one.open and one.frames(self.runs) < LEAST_TOLD]
        if few:
            raise UsageError(
                f"--load {few[0].words}: {LEAST_TOLD} frames are the least to tell whether it is "
                f"sustained, and it has {few[0].frames(self.runs)}: give more by --runs or in the "
                "trace"
            )
        if self.races:
            raise UsageError(
                f"--load {load.words}: {self._race} predicts frames that come one at a time: leave "
                "one of them"
            )
        if self.min_runs or self.max_runs:
            raise UsageError(
                f"--load {load.words} has as many frames as it was drawn with, whether or not they "
                "agree: give --runs, not --min-runs and --max-runs"
            )


def sweep_config(options: Mapping[str, object], file: Path | None = None) -> SweepConfig:
    """A checked sweep of the options given, over those of a YAML file.

    Raises UsageError for unknown keys and for values that cannot be, naming each.
    """
    asked = {**(read_yaml(file) if file else {}), **options}
    for key in asked:
        if key not in SweepConfig.model_fields:
            meant = did_you_mean(_ALSO.get(key, key), SweepConfig.model_fields, otherwise=";")
            raise UsageError(f"a sweep has no option {key!r}{meant} see `orchestrate sweep --help`")
    if (asked.get("budget") or asked.get("until_sure")) and asked.get("delivery") is None:
        asked["delivery"] = False  # over a slow link it takes minutes, and answers nothing
    target = asked.get("target_drop")
    if isinstance(target, int | float) and asked.get("max_drop") is None:
        asked["max_drop"] = max(MAX_DROP, target)  # what is asked for is not too much
    if "model" not in asked:
        raise UsageError("no model is named: give --model NAME (orchestrate models) or FILE")
    try:
        return SweepConfig.model_validate(asked)
    except ValidationError as error:
        typed = {name: _typed(name, value) for name, value in asked.items()}
        raise UsageError(one_line(error, typed)) from None


def _typed(name: str, value: object) -> str:
    """The option as a command has it."""
    words = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"--{name.replace('_', '-')} {words}"
