"""`python -m bench.child MODULE:FUNCTION ARGUMENT...`: runs it, and says what it returns."""

from __future__ import annotations

import importlib
import json
import os
import sys


def say(value: object) -> None:
    """Tell the bench, on a descriptor beside the terminal."""
    os.write(int(os.environ["BENCH_FD"]), json.dumps(value).encode() + b"\n")


def main() -> None:
    module, _, function = sys.argv[1].partition(":")
    say(getattr(importlib.import_module(f"bench.{module}"), function)(*sys.argv[2:]))


if __name__ == "__main__":
    main()
