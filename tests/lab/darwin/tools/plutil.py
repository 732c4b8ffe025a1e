#!/opt/mac/gnu/python3 -IS
"""plutil -lint, -convert {json|xml1} -o -, -extract KEYPATH {raw|json|xml1}; PlistBuddy's Print."""

import json
import plistlib
import sys
from typing import Any


def read(path: str) -> Any:
    try:
        with open(0 if path == "-" else path, "rb") as file:
            return plistlib.loads(file.read())
    except OSError:
        sys.exit(f"{path}: file does not exist or is not readable or is not a regular file")
    except Exception:  # expat's errors have no class of their own here
        sys.exit(f"{path}: Property List error: Unexpected character at line 1")


def dig(value: Any, keys: list[str], complaint: str) -> Any:
    for key in keys:
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (LookupError, ValueError, TypeError):
            sys.exit(complaint)
    return value


def encode(value: Any, form: str) -> str:
    if form == "json":
        return json.dumps(value, separators=(",", ":"))
    if form == "xml1":
        return plistlib.dumps(value).decode()
    if isinstance(value, bool):
        return f"{value}\n".lower()
    return f"{len(value) if isinstance(value, list) else value}\n"


def plutil(words: list[str]) -> None:
    path = words.pop()
    match words:
        case ["-lint"]:
            read(path)
            print(f"{path}: OK")
        case ["-convert", ("json" | "xml1") as form, "-o", "-"]:
            sys.stdout.write(encode(read(path), form))
        case ["-extract", shown, ("raw" | "json" | "xml1") as form, *_]:
            keys = [key.replace("\0", ".") for key in shown.replace("\\.", "\0").split(".")]
            error = f"No value at that key path or invalid key path: {shown}"
            complaint = f"{path}: Could not extract value, error: {error}"
            sys.stdout.write(encode(dig(read(path), keys, complaint), form))
        case _:
            sys.exit("plutil: unrecognized option")


def plist_buddy(words: list[str]) -> None:
    match words:
        case ["-c", command, path] if command.startswith("Print"):
            shown = command.removeprefix("Print").strip().lstrip(":")
            keys = [key for key in shown.split(":") if key]
            value = dig(read(path), keys, f'Print: Entry, ":{shown}", Does Not Exist')
        case _:
            sys.exit("PlistBuddy: only -c 'Print :KEY' FILE here")
    if isinstance(value, list):
        print("Array {", *(f"    {item}" for item in value), "}", sep="\n")
    elif isinstance(value, dict):
        print("Dict {", *(f"    {key} = {item}" for key, item in value.items()), "}", sep="\n")
    else:
        sys.stdout.write(encode(value, "raw"))


if sys.argv[0].endswith("PlistBuddy"):
    plist_buddy(sys.argv[1:])
elif len(sys.argv) > 1:
    plutil(sys.argv[1:])
else:
    sys.exit("plutil: no files specified")
