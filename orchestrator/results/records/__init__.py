"""What a run folder holds: the frames, the cells, and the run itself, each a frozen typed class.

samples.jsonl: FrameRecord     cells.jsonl: CellRecord     run.json: RunRecord
"""

from orchestrator.results.records.cell import (
    Accuracy,
    CellRecord,
    ClockRecord,
    CrossingTensor,
    MachineRecord,
    UeRecord,
)
from orchestrator.results.records.dials import DialRecord, Dials, TriedStep
from orchestrator.results.records.frame import Footprint, FrameRecord, Hop
from orchestrator.results.records.proof import ProofRecord, TcpFacts, segment_of
from orchestrator.results.records.resources import Energy, NodeResources
from orchestrator.results.records.run import SCHEMA, Drift, PredictedCell, RunRecord

__all__ = [
    "SCHEMA", "Accuracy", "CellRecord", "ClockRecord", "CrossingTensor", "DialRecord", "Dials",
    "Drift", "Energy", "Footprint", "FrameRecord", "Hop", "MachineRecord", "NodeResources",
    "PredictedCell", "ProofRecord", "RunRecord", "TcpFacts", "TriedStep", "UeRecord", "segment_of",
]  # fmt: skip
