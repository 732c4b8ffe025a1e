"""The engine of NixFleet for the terminal: facts, plans, jobs and verdicts. Knows no screen."""
