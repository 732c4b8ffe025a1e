"""A plan as a job: compiled, running, kept."""
