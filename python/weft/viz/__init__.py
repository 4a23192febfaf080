"""What the mesh measures: samples from the proxies, kept for ten minutes, and the questions that tables ask. No I/O."""
