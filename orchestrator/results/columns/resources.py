"""The columns of a row on what its nodes took (clause 6): the fourth block of summary.csv.

Means for a frame, so that they add up. Those of the UE are of all UEs together, those of the edge
of all nodes of the network; `resources.csv` has each node alone, and its CPU time by stage.
"""

from typing import Annotated

from orchestrator.results.columns import Column
from orchestrator.results.columns.main import Count, Number
from orchestrator.results.columns.offered import OfferedColumns

NOT_TOLD = "the machine does not tell, no frame ended, or by an earlier version"
NO_ENERGY = "nothing measures it, and no model was asked for (resources.md)"
NO_GPU = "NVML tells of none, or no frame ended"
_BY_STAGE = f"several frames were under way (the sum alone is told), {NOT_TOLD}"


class ResourceColumns(OfferedColumns, frozen=True, kw_only=True):
    """CPU time, memory, energy: of the UE and of the network."""

    ue_cpu_ms: Annotated[
        Number, Column("CPU time of the UE for a frame, all that it computes", "ms", NOT_TOLD)
    ] = None
    edge_cpu_ms: Annotated[
        Number, Column("CPU time of the edge for a frame, likewise", "ms", NOT_TOLD)
    ] = None
    part1_cpu_ms: Annotated[Number, Column("of that, part 1", "ms", _BY_STAGE)] = None
    encode_cpu_ms: Annotated[Number, Column("of that, encoding", "ms", _BY_STAGE)] = None
    decode_cpu_ms: Annotated[Number, Column("of that, decoding", "ms", _BY_STAGE)] = None
    part2_cpu_ms: Annotated[Number, Column("of that, part 2", "ms", _BY_STAGE)] = None
    ue_rest_cpu_ms: Annotated[
        Number, Column("of that of the UE, what it computes in no stage", "ms", _BY_STAGE)
    ] = None
    edge_rest_cpu_ms: Annotated[
        Number, Column("of that of the edge, likewise", "ms", _BY_STAGE)
    ] = None
    ue_rss_bytes: Annotated[
        Count, Column("memory of the UE's process (RSS), the mean", "bytes", NOT_TOLD)
    ] = None
    ue_rss_peak_bytes: Annotated[Count, Column("the most of it", "bytes", NOT_TOLD)] = None
    ue_pss_bytes: Annotated[
        Count,
        Column("its share where others map the same (PSS), the mean", "bytes", NOT_TOLD),
    ] = None
    edge_rss_bytes: Annotated[
        Count, Column("memory of the edge's process (RSS), the mean", "bytes", NOT_TOLD)
    ] = None
    edge_rss_peak_bytes: Annotated[Count, Column("the most of it", "bytes", NOT_TOLD)] = None
    edge_pss_bytes: Annotated[
        Count,
        Column("its share where others map the same (PSS), the mean", "bytes", NOT_TOLD),
    ] = None
    ue_energy_mj: Annotated[
        Number, Column("energy that the UE took for a frame", "mJ", NO_ENERGY)
    ] = None
    edge_energy_mj: Annotated[
        Number, Column("energy that the edge took for a frame", "mJ", NO_ENERGY)
    ] = None
    ue_energy_source: Annotated[
        str, Column("how that of the UE is known: measured, modelled, or none where it is not")
    ] = "none"
    edge_energy_source: Annotated[str, Column("how that of the edge is known, likewise")] = "none"
    ue_gpu_ms: Annotated[
        Number, Column("time in which GPUs of the UE were busy for a frame", "ms", NO_GPU)
    ] = None
    edge_gpu_ms: Annotated[
        Number, Column("time in which GPUs of the edge were busy for a frame", "ms", NO_GPU)
    ] = None
