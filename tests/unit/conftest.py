"""What the tests of the commands share."""

from fake_fleet import fleet, real

__all__ = ["fleet", "real"]
