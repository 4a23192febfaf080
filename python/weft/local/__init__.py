"""Local mode: one machine stands in for a cluster.

What is planned (`plan`, `difference`, `rules`, `zone`, `objects`) is pure and kept apart from what acts on it.
"""
