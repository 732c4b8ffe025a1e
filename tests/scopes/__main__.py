"""`python -m scopes`, in `tests`: say what breaks the rules of scope or of form, and fail then."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from scopes.form import too_large
from scopes.reading import read_script
from scopes.rules import check
from scopes.scripts import sent_scripts

PARTS: Final = Path(__file__).parents[2] / "nixfleet_core/scripts"


def main() -> int:
    scripts = sent_scripts()
    faults: dict[str, str] = {}
    for name, text in scripts.items():
        lines = text.splitlines()
        for fault in check(read_script(text)):
            faults.setdefault(f"{fault.text}:\n  {lines[fault.line - 1].strip()}", name)
    for path in sorted(PARTS.glob("*/*.sh")):
        for fault in too_large(path.read_text()):
            faults[f"line {fault.line}: {fault.text}"] = path.name
    for what, name in faults.items():
        sys.stdout.write(f"{name}: {what}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
