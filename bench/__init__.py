"""Measures what the proxy costs beside its peers: one run, the same machine, the same topology, interleaved.

`python -m bench` runs every scenario of `scenarios/`, prints a table and writes `results/latest.json`.
Figures of different runs are never compared: only ratios within one run mean anything.
"""
