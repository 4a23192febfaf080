"""Settings that all tests share."""

from hypothesis import settings

# A busy machine is no failure: properties have no deadline.
settings.register_profile("weft", deadline=None)
settings.load_profile("weft")
