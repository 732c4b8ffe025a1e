"""The agent's own log, as its service manager keeps it."""
