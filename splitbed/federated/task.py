"""What a process on a UE is given to do there, whoever gives it: it knows its UE by environment."""

import os
from functools import lru_cache
from pathlib import Path

from splitbed.federated.averaging import Answer, Gathered
from splitbed.federated.drawn import Samples
from splitbed.federated.part import Training, part

UE, SAMPLES = "SPLITBED_FEDERATED_UE", "SPLITBED_FEDERATED_SAMPLES"
"""Variables: the UE's name, and the file of its samples."""


def at_ue(ue: str, model: bytes, how: Training) -> Gathered:
    """That UE's part in a round; on any other, that it is missing: its samples are nowhere else."""
    if problem := ready(ue):
        return Gathered((Answer(ue, missing=problem),))
    return part(ue, model, _samples(os.environ[SAMPLES]), how)


def ready(ue: str) -> str:
    """Why this process cannot do that UE's part; nothing where it can, its samples then read."""
    if (here := os.environ.get(UE)) != ue:
        return f"its task came to {here or 'no UE'}, which has none of its samples"
    try:
        _samples(os.environ[SAMPLES])
    except (OSError, ValueError, KeyError) as error:
        return f"its samples cannot be read: {error}"
    return ""


@lru_cache(1)
def _samples(file: str) -> Samples:
    return Samples.read(Path(file))
