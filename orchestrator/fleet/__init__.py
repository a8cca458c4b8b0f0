"""Sweeps on many machines: by Ray, by Slurm, or whatever else hands jobs to machines.

sweep ──> groups: the cells of a link ──> Fleet.send ──> a machine: a whole testbed of its own
                                                            │  checks, files by their sha256
          run folder <── merged, as it ends <── archive <──┘  an ordinary sweep of the group
"""
