"""Settings that hold for every test."""

from hypothesis import HealthCheck, settings

# A busy machine is no failure: tests say what must hold, not how fast it must hold there.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")
