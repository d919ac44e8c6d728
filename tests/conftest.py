"""Settings of the whole suite."""

from __future__ import annotations

from hypothesis import settings

# An example's time depends on the machine and on what else it does: properties judge results, never speed.
settings.register_profile("trueup", deadline=None)
settings.load_profile("trueup")
