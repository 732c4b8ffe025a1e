"""The engine of NixFleet for the terminal: facts, plans, jobs and verdicts. Knows no screen."""

from typing import Final

__version__: Final = "0.1.0"
"""The version of the program; pyproject.toml reads it from here."""
