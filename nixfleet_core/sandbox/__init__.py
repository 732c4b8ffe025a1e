"""The sandbox fleet behind the demo: hosts that are folders, with real git and real processes."""
