"""`python -m scopes`, in `tests`: say what breaks the rules of scope, and fail then."""

from __future__ import annotations

import sys

from scopes.reading import read_script
from scopes.rules import check
from scopes.scripts import sent_scripts


def main() -> int:
    scripts = sent_scripts()
    faults: dict[str, str] = {}
    for name, text in scripts.items():
        lines = text.splitlines()
        for fault in check(read_script(text)):
            faults.setdefault(f"{fault.text}:\n  {lines[fault.line - 1].strip()}", name)
    for what, name in faults.items():
        sys.stdout.write(f"{name}: {what}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
