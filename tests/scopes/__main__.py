"""`python -m scopes`, in `tests`: say what breaks the rules of scope or of form, or what macOS's sh
cannot do, and fail then."""

from __future__ import annotations

import sys

from scopes.dialect import later
from scopes.form import too_large
from scopes.reading import read_script
from scopes.rules import check
from scopes.scripts import PROJECT, sent_scripts, written_scripts


def main() -> int:
    scripts = sent_scripts()
    faults: dict[str, str] = {}
    for name, text in scripts.items():
        lines = text.splitlines()
        for fault in later(text) or check(read_script(text)):
            faults.setdefault(f"{fault.text}:\n  {lines[fault.line - 1].strip()}", name)
    for name, text in written_scripts().items():
        for fault in later(text):
            faults[f"line {fault.line}: {fault.text}"] = name
    for path in sorted(PROJECT.glob("nixfleet_core/scripts/*/*.sh")):
        for fault in too_large(path.read_text()):
            faults[f"line {fault.line}: {fault.text}"] = path.name
    for what, name in faults.items():
        sys.stdout.write(f"{name}: {what}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
