"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# the same examples in each run, and none fails because the machine is busy; that all examples of a
# test share its fixtures is meant
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("steady")
