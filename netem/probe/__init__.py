"""Proof of a link by measurement: a round trip, and the rate that each direction lets through.

The rate is taken from a train: datagrams sent at twice the asked rate, so that the queue before the
link never runs dry and the receiver sees them spaced as the link spaces them. Rates count Ethernet
frames as sch_netem does, so that they compare directly with what was asked.

    prove (UE)                       ProbeServer (edge)
      ping ─────────────────────────▶ echo, with what proves who has it
      train ════════════════════════▶ arrival times
      report? ──────────────────────▶ frames, first and last arrival
      train, please ────────────────▶
      arrival times ◀════════════════ train

Nothing here knows of namespaces: it serves two machines as well.
"""
