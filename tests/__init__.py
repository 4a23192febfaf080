"""Weft's Python tests; the layout mirrors `python/weft`."""
