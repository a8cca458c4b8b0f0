"""Federated averaging (McMahan et al., 2017; clause 9.3), without anything that carries it.

    aggregator: model ──▼── each UE: trains on data of its own ──▲── update ──> weighted mean

A UE's update is what its training added to the model, coded by a model coder; the mean is weighted
by the samples that each trained on.  Nothing here knows of links, processes or Spark.
"""
