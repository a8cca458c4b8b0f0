"""Attacks on nodes: what no peer may do to them. `make attack` runs the same ones long.

An attack is a test in a module of this folder, one module a subject. It takes the fixture `edge` or
`ue`, a node process of its own (:mod:`tests.hostile.attacked`), and does its worst to it; that the
node lives, answers within 2 s all the while and has not grown is then demanded by the fixture. How
often it tries is :func:`tests.hostile.length.tries`. A node of another configuration is
``with attacked("edge", tmp_path, limits={…}) as node, node.unharmed():``.
What a message once did harm with is a line of `corpus/found.jsonl`, sent again each time.
"""
