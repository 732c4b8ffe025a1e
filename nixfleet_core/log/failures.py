"""A table: what the text of a failure means, and what to do about it.

`grep -E` (GNU, BSD, busybox) reads the patterns on hosts, which retry transient failures. Python
reads them here and names the cause. So the patterns keep to what all of these understand. The texts
are those of git, OpenSSH and Nix 2.8 to 2.34 under LC_ALL=C. A text names a cause and proves
nothing: Nix can keep an old commit with exit code 0 and say nothing at all.

It is longer than 400 lines because the table is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from nixfleet_core.vocabulary import APPLE_GIT, CAUSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.vocabulary import Cause

Kind = Literal["transient", "permanent", "stale"]
"""transient: worth another try. permanent: somebody has to act first. stale: Nix succeeded, but may
have kept the old commit."""

Source = Literal["nix", "git", "ssh", "switch", "system"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One row. `words` are for people; empty where the words of the cause are good enough."""

    id: str
    pattern: str
    kind: Kind
    source: Source
    cause: Cause
    words: str = ""
    weight: Literal[0, 1, 2] = 1
    """0: it only says that something else failed. 2: it is the cause of the failures after it."""
    from_builders: bool = False
    """It counts in a builder's output too. Most texts there are about the thing being built."""

    @property
    def advice(self) -> str:
        """What went wrong and what to do, in a sentence."""
        general = CAUSES[self.cause]
        meaning = f"{general.meaning[0].upper()}{general.meaning[1:]}"
        return self.words or f"{meaning}: {general.cure}."


LAN_DENIED: Final = "macOS may be keeping this job from the local network"
"""The host's runner says so on macOS if a command said `LAN_UNREACHABLE`. On Linux the same words
mean a network that is down for the moment."""

LAN_NAME: Final = (
    r"10(\.[0-9]+){3}|172\.(1[6-9]|2[0-9]|3[01])(\.[0-9]+){2}|(192\.168|169\.254)(\.[0-9]+){2}"
    r"|f[cd][0-9a-f][0-9a-f]:[0-9a-f:]+|fe80:[0-9a-f:]+|[0-9A-Za-z.-]+\.(local|lan|home\.arpa)"
)
"""A pattern for `grep -E`: the address or the name of a host of the local network."""

LAN_UNREACHABLE: Final = (
    f"[^0-9A-Za-z.-]({LAN_NAME})[^0-9A-Za-z.-].*No route to host"
    "|onnect to (host )?[0-9A-Za-z_-]+ port .*No route to host"
)
"""A pattern for `grep -E`: a host of the local network, by its address or name, has no route."""

FAILURES: Final[tuple[Failure, ...]] = (
    # The causes of other failures.
    Failure(
        id="disk-full",
        pattern="No space left on device|Out of diskspace|database or disk is full"
        "|Disk quota exceeded",
        kind="permanent",
        source="system",
        cause="disk-full",
        weight=2,
        from_builders=True,
    ),
    Failure(
        id="out-of-memory",
        pattern="failed due to signal 9|failed with exit code 137"
        "|Killed signal terminated program|[Cc]annot allocate memory"
        "|std::bad_alloc|virtual memory exhausted|Out of memory: Killed",
        kind="permanent",
        source="system",
        cause="oom",
        weight=2,
        from_builders=True,
    ),
    Failure(
        id="open-files",
        pattern="Too many open files",
        kind="permanent",
        source="system",
        cause="open-files",
        weight=2,
        from_builders=True,
    ),
    Failure(
        id="apple-tools",
        pattern="xcrun: error: |xcode-select: (note|error): ",
        kind="permanent",
        source="system",
        cause="preflight-tools",
        words=f"{APPLE_GIT.meaning}: {APPLE_GIT.cure}.",
        weight=2,
    ),
    Failure(
        id="hash-mismatch",
        pattern="hash mismatch in (fixed-output derivation|file downloaded|input)"
        "|NAR hash mismatch",
        kind="permanent",
        source="nix",
        cause="hash-mismatch",
        weight=2,
    ),
    Failure(
        id="cache-damaged",
        pattern="hash mismatch importing path|input compression not recognized",
        kind="permanent",
        source="nix",
        cause="hash-mismatch",
        words="A binary cache serves a damaged file: force level 5 builds instead.",
        weight=2,
    ),
    Failure(
        id="source-download",
        pattern="cannot download .* from any mirror",
        kind="transient",
        source="nix",
        cause="fetch-failed",
        words="A source could not be downloaded: try again, or look whether its URL still exists.",
        weight=2,
        from_builders=True,
    ),
    # Answers of servers.
    Failure(
        id="rate-limit",
        pattern="rate limit exceeded|HTTP error 429|requested URL returned error: 429",
        kind="transient",
        source="nix",
        cause="rate-limit",
    ),
    Failure(
        id="cache-download",
        pattern="unable to download '[^']*/nar/[^']*': .*(HTTP error (408|5[0-9][0-9])"
        "|Transferred a partial file)|nix::SubstituterDisabled",
        kind="transient",
        source="nix",
        cause="fetch-failed",
        words="A binary cache does not deliver what it has: try again; "
        "force level 5 builds instead.",
    ),
    Failure(
        id="nix-download",
        pattern=r"unable to download '[^']*': .*(\((6|7|18|28|35|52|55|56|92)\)"
        r"|HTTP error (408|5[0-9][0-9]))",
        kind="transient",
        source="nix",
        cause="fetch-failed",
    ),
    Failure(
        id="nix-download-refused",
        pattern="unable to download '[^']*': .*HTTP error (401|403)",
        kind="permanent",
        source="nix",
        cause="auth",
        words="The server refused the download: give nix access-tokens or a netrc for it.",
    ),
    Failure(
        id="nix-download-missing",
        pattern="unable to download '[^']*': .*HTTP error (404|410)",
        kind="permanent",
        source="nix",
        cause="not-found",
        words="The server has no such file: check the input's URL; "
        "a private repository needs access-tokens.",
    ),
    Failure(
        id="nix-web-page",
        pattern="json\\.exception\\.parse_error.*<|[Ff]ailed to open archive.*Unrecognized archive",
        kind="transient",
        source="nix",
        cause="fetch-failed",
        words="A server answered with something else, such as a login page: check the host's "
        "network and the input's URL.",
    ),
    Failure(
        id="git-http-refused",
        pattern="requested URL returned error: (401|403)",
        kind="permanent",
        source="git",
        cause="auth",
        words="The git server refused access: check the checkout owner's credentials.",
    ),
    Failure(
        id="git-http-missing",
        pattern="requested URL returned error: (404|410)",
        kind="permanent",
        source="git",
        cause="not-found",
    ),
    Failure(
        id="git-http-failing",
        pattern="requested URL returned error: (408|5[0-9][0-9])",
        kind="transient",
        source="git",
        cause="fetch-failed",
        words="The git server fails: try again later.",
    ),
    Failure(
        id="git-network",
        pattern="Could not resolve host: |Failed to connect to |Operation timed out"
        "|Operation too slow|RPC failed",
        kind="transient",
        source="git",
        cause="fetch-failed",
        words="The git server could not be reached: check the host's network and DNS, "
        "and try again.",
    ),
    Failure(
        id="git-broken-off",
        pattern="early EOF|fetch-pack: invalid index-pack output"
        "|the remote end hung up unexpectedly",
        kind="transient",
        source="git",
        cause="fetch-failed",
        words="The transfer broke off: try again.",
        weight=0,
    ),
    Failure(
        id="git-busy",
        pattern="Another git process seems to be running"
        r"|Unable to create '[^']*\.lock': File exists",
        kind="transient",
        source="git",
        cause="git-busy",
    ),
    Failure(
        id="git-credentials",
        pattern="Authentication failed for |could not read (Username|Password) for"
        "|HTTP Basic: Access denied",
        kind="permanent",
        source="git",
        cause="auth",
        words="git has no working credentials: give the checkout's owner a deploy key or a token.",
    ),
    Failure(
        id="git-no-repository",
        pattern="repository '[^']*' not found|ERROR: Repository not found"
        "|does not appear to be a git repository",
        kind="permanent",
        source="git",
        cause="not-found",
        words="There is no such repository, or the checkout's owner may not see it: "
        "check the remote's URL and the deploy key.",
    ),
    Failure(
        id="git-no-ref",
        pattern="couldn't find remote ref",
        kind="permanent",
        source="git",
        cause="not-found",
        words="The repository has no such branch: check the branch that the checkout "
        "or the input follows.",
    ),
    # The checkout.
    Failure(
        id="git-overwrite",
        pattern="would be overwritten by (merge|checkout)",
        kind="permanent",
        source="git",
        cause="dirty-tree",
    ),
    Failure(
        id="git-diverged",
        pattern="Not possible to fast-forward|divergent branches",
        kind="permanent",
        source="git",
        cause="diverged",
    ),
    Failure(
        id="git-no-branch",
        pattern="You are not currently on a branch|There is no tracking information",
        kind="permanent",
        source="git",
        cause="no-upstream",
    ),
    Failure(
        id="not-the-owner",
        pattern="detected dubious ownership in repository at|is not owned by current user"
        "|insufficient permission for adding an object|FETCH_HEAD: Permission denied",
        kind="permanent",
        source="git",
        cause="ownership",
    ),
    # ssh, whoever calls it.
    Failure(
        id="ssh-refused",
        pattern=r"Permission denied \((publickey|password|keyboard|gssapi|hostbased)"
        "|Too many authentication failures",
        kind="permanent",
        source="ssh",
        cause="auth",
        words="ssh was refused: check user and key; nixfleet connect HOST asks for a passphrase "
        "or a one-time password; a job on a host has only the host's own keys.",
    ),
    Failure(
        id="ssh-host-key",
        pattern="Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        kind="permanent",
        source="ssh",
        cause="host-key",
    ),
    Failure(
        id="ssh-network",
        pattern="kex_exchange_identification: |Could not resolve hostname "
        "|connect to host .*: (Connection timed out|Connection refused|No route to host"
        "|Network is unreachable|Operation timed out)"
        "|Connection timed out during banner exchange|Timeout, server .* not responding",
        kind="transient",
        source="ssh",
        cause="fetch-failed",
        words="The server does not answer ssh: check its name, the network, and that it is up.",
    ),
    Failure(
        id="ssh-broken-off",
        pattern="Connection closed by |Connection reset by ",
        kind="transient",
        source="ssh",
        cause="fetch-failed",
        words="The connection broke off: try again.",
        weight=0,
    ),
    # Nix itself.
    Failure(
        id="nix-daemon",
        pattern="Nix daemon disconnected unexpectedly|cannot connect to socket at"
        "|unexpected end-of-file|daemon-socket/socket: Connection refused",
        kind="transient",
        source="nix",
        cause="daemon",
    ),
    Failure(
        id="nix-daemon-forbidden",
        pattern="daemon-socket/socket'?: Permission denied",
        kind="permanent",
        source="nix",
        cause="daemon",
        words="The checkout's owner may not use nix: add them to allowed-users.",
    ),
    Failure(
        id="nix-database-busy",
        pattern="SQLite database '[^']*' is busy",
        kind="transient",
        source="nix",
        cause="daemon",
        words="Another nix writes to the database: let it end, and try again.",
    ),
    Failure(
        id="substitutes-failed",
        pattern="some substitutes for the outputs of derivation .* failed",
        kind="transient",
        source="nix",
        cause="fetch-failed",
        words="A binary cache failed: try again; force level 5 builds instead.",
        weight=0,
    ),
    Failure(
        id="lock-broken",
        pattern=r"Could not parse '[^']*flake\.lock|flake\.lock.*parse error"
        r"|parse error.*flake\.lock|json\.exception\.parse_error[^<]*$",
        kind="permanent",
        source="nix",
        cause="lock-broken",
    ),
    Failure(
        id="no-such-input",
        pattern="does not match any input",
        kind="permanent",
        source="nix",
        cause="input-missing",
    ),
    Failure(
        id="no-such-attribute",
        pattern="does not provide attribute",
        kind="permanent",
        source="nix",
        cause="attribute-missing",
    ),
    Failure(
        id="attribute-missing",
        pattern="attribute '[^']*' missing",
        kind="permanent",
        source="nix",
        cause="attribute-missing",
        words="The configuration names something that is not there: "
        "check the host's attribute, and nixcfg itself.",
    ),
    Failure(
        id="eval-cache",
        pattern="cached failed attribute '[^']*' unexpectedly succeeded",
        kind="permanent",
        source="nix",
        cause="eval-failed",
        words="Nix's evaluation cache is out of date: use force level 4, "
        "or remove ~/.cache/nix/eval-cache*.",
    ),
    Failure(
        id="eval-failed",
        pattern="error: syntax error|error: undefined variable|infinite recursion encountered"
        "|Failed assertions:|error: evaluation aborted|The option .* does not exist",
        kind="permanent",
        source="nix",
        cause="eval-failed",
    ),
    Failure(
        id="unsigned",
        pattern="lacks a (valid )?signature by a trusted key",
        kind="permanent",
        source="nix",
        cause="signature",
    ),
    Failure(
        id="build-failed",
        pattern="builder for '[^']*' failed|[Rr]eason: builder failed",
        kind="permanent",
        source="nix",
        cause="build-failed",
        words="A package does not build: its own lines stand above the error in the log.",
    ),
    Failure(
        id="not-built",
        pattern="Cannot build '|dependenc(y|ies) of derivation .* failed to build"
        "|[Rr]eason: [0-9]+ dependenc",
        kind="permanent",
        source="nix",
        cause="build-failed",
        weight=0,
    ),
    Failure(
        id="kept-old-commit",
        pattern="; using cached version|continuing with the most recent version"
        "|using expired cached ref",
        kind="stale",
        source="nix",
        cause="fetch-failed",
        words="Nix could not ask the input's server and kept what it had: try again, "
        "or pin the input with --input-rev.",
        weight=0,
    ),
    # The switch.
    Failure(
        id="switch-busy",
        pattern="Could not acquire lock"
        r"|nixos-rebuild-switch-to-configuration[^ ]*\.service was already loaded",
        kind="transient",
        source="switch",
        cause="switch-busy",
    ),
    # macOS.
    Failure(
        id="mac-folder",
        pattern="(read current working directory|getcwd: cannot access parent directories)"
        ": Operation not permitted",
        kind="permanent",
        source="system",
        cause="folder-denied",
        weight=2,
    ),
    Failure(
        id="mac-applications",
        pattern="permission denied when trying to update apps",
        kind="permanent",
        source="switch",
        cause="apps-denied",
        weight=2,
    ),
    Failure(
        id="mac-local-network",
        pattern=LAN_DENIED,
        kind="permanent",
        source="system",
        cause="lan-denied",
        weight=2,
    ),
)


def find_failure(lines: Iterable[str]) -> Failure | None:
    """What went wrong, by the lines of a failed step; None when no line is known.

    The row with the most weight counts; among equals the last one. The lines may be log.txt's or
    raw. Nix's own `retrying in` is progress, and a builder prints about the thing it builds.
    """
    any_row = re.compile(_ANY)  # here, and kept by `re`: most commands look for no failure
    best: Failure | None = None
    for line in lines:
        text = strip_colours(line)
        if not any_row.search(text) or "retrying in" in text:
            continue
        from_builder = _BUILDER.match(text) is not None
        rows = [row for row in FAILURES if row.from_builders or not from_builder]
        found = [row for row in rows if re.search(row.pattern, text)]
        if found:
            row = max(found, key=lambda row: row.weight)
            best = row if best is None or row.weight >= best.weight else best
    return best


def strip_colours(line: str) -> str:
    """The line without colours, also where they are escaped as in JSON."""
    return _COLOUR.sub("", line)


def transient_pattern() -> str:
    """One pattern for `grep -E`: something failed that another try may cure.

    The caller first removes Nix's own `retrying in` and builders' lines (`@nix {"action":"result"`)
    from the output. `permanent_pattern` outweighs this one.
    """
    return "|".join(row.pattern for row in FAILURES if row.kind == "transient")


def permanent_pattern() -> str:
    """One pattern for `grep -E`: another try is useless, whatever else the output says."""
    return "|".join(row.pattern for row in FAILURES if row.kind == "permanent" and row.weight > 0)


def stale_pattern() -> str:
    """One pattern for `grep -E`: Nix says that it kept what it had, whatever its exit code."""
    return "|".join(row.pattern for row in FAILURES if row.kind == "stale")


_COLOUR: Final = re.compile(r"(?:\x1b|\\u001[bB])\[[0-9;:]*m")
_BUILDER: Final = re.compile(r'@nix \{"action":"result"|[^ ]+> ')
_ANY: Final = "|".join(row.pattern for row in FAILURES)
