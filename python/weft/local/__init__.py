"""Local mode: one machine stands in for a cluster. Pure planning (`plan`, `rules`, `zone`, `objects`) is kept apart from acting."""
