"""From the words of a program, or of a command line, to what a measurement is asked."""

from collections.abc import Mapping
from pathlib import Path

from orchestrator.api.options import Place
from orchestrator.ask.sweep.config import SweepConfig, sweep_config


def config_of(
    model: Place | None, options: Mapping[str, object], file: Place | None = None
) -> SweepConfig:
    """What is asked for, checked: the options given, over those of a YAML file.

    Raises UsageError for unknown ones and for values that cannot be, naming each.
    """
    given = {name: value for name, value in options.items() if value is not None}
    given |= {} if model is None else {"model": str(model)}
    return sweep_config(given, None if file is None else Path(file))
