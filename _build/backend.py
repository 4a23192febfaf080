"""The build backend: maturin, after giving `weft` back the executable bit that a source distribution drops."""

from pathlib import Path

from maturin import *  # noqa: F403

Path("wheel-data/scripts/weft").chmod(0o755)
