"""For all tests: examples are bounded by number, not by time, so that a busy machine changes nothing."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("thingjobs", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("thingjobs")
