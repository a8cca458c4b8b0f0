"""What there is to run: models, links, codecs, datasets."""

from netem.profiles import PROFILES, SOURCES
from orchestrator.reports.terminal import Line, show_lines
from splitbed.codecs import known as known_codecs
from splitbed.media.datasets import catalogue
from splitbed.model_coders import known as known_coders
from splitbed.zoo import ZOO


def models(*, as_json: bool) -> None:
    """The anchor models of the zoo."""
    show_lines(
        [
            {"model": m.name, "what": m.title, "parameters": m.parameters}
            | {"named splits": len(m.named_splits)}
            | {"task": m.task, "source": m.source}
            for m in ZOO.values()
        ],
        as_json=as_json,
    )


def links(*, as_json: bool) -> None:
    """The named link profiles."""
    lines: list[Line] = []
    for name, spec in PROFILES.items():
        up, down = spec.uplink, spec.downlink
        lines.append(
            {
                "link": name,
                "uplink Mbit/s": up.rate_mbit,
                "downlink Mbit/s": down.rate_mbit,
                "delay ms": up.delay_ms,
                "jitter ms": up.jitter_ms,
                "loss %": up.loss_pct,
                "source": SOURCES[name],
            }
        )
    show_lines(lines, as_json=as_json)


def codecs(*, as_json: bool) -> None:
    """The stages that codecs are made of."""
    lines: list[Line] = [
        {
            "codec": one.name,
            "what": one.summary,
            "lossless": _yes(one.lossless),
            "calibrated": "fitted" if one.fitted else _yes(one.calibrated),
            "frames in order": _yes(one.sequential),
        }
        for one in known_codecs()
    ]
    show_lines(lines, as_json=as_json)


def coders(*, as_json: bool) -> None:
    """The stages that coders of model data are made of."""
    lines: list[Line] = [
        {"coder": one.name, "what": one.summary, "lossless": _yes(one.lossless)}
        for one in known_coders()
    ]
    show_lines(lines, as_json=as_json)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def datasets(*, as_json: bool) -> None:
    """The datasets of the catalogue, which are here, and how to get the others."""
    lines: list[Line] = [
        {
            "dataset": one.name,
            "what": one.title,
            "truth": one.truth,
            "terms": one.terms,
            "here": _yes(one.present),
            "how": _how(one),
        }
        for one in catalogue.CATALOGUE.values()
    ]
    show_lines(lines, as_json=as_json)


def _how(one: catalogue.KnownDataset) -> str:
    if one.embedded:
        return one.steps
    if one.present:
        return f"it is in {one.folder}"
    if one.archives:
        size = sum(archive.mb for archive in one.archives)
        return f"orchestrate datasets --get {one.name} ({size} MB), see {one.page}"
    return f"{one.page}: {one.steps}, in {one.folder}"
