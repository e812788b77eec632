"""For all tests: examples are bounded by number, not by time, so that a busy machine changes nothing."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("thingjobs", deadline=None)
settings.load_profile("thingjobs")
