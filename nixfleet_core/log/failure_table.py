"""The table of known failures: what a text means, and what to do about it.

A row knows a frame: the words that one tool puts around its reason, as in git's `unable to access
'URL': REASON`. Whatever the reason is, the frame says that it passes. The reasons that do not pass
have rows of their own with the same frame: of a line, and of a whole output, the row with the most
weight counts, and of equal weight the permanent one.

`grep -E` (GNU, BSD, busybox) reads the patterns on hosts, which retry transient failures. Python
reads them in `failures` and names the cause. So the patterns keep to what all of these understand.
The texts are those of git, OpenSSH, curl, Nix 2.8 to 2.34, Lix and Determinate Nix under LC_ALL=C,
as their sources have them. A text names a cause and proves nothing: Nix can keep an old commit with
exit code 0 and say nothing at all.

It is longer than 400 lines because the table is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from nixfleet_core.vocabulary import APPLE_GIT, CAUSES, Advice

if TYPE_CHECKING:
    from nixfleet_core.vocabulary import Cause, Remedy

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
    names: tuple[Remedy, ...] = ()
    """What `words` name that can be done at once, beside the cause's remedies."""
    weight: Literal[0, 1, 2] = 1
    """0: it only says that something else failed. 2: it is the cause of the failures after it."""
    from_builders: bool = False
    """It counts in a builder's output too. Most texts there are about the thing being built."""
    from_warnings: bool = False
    """It counts in a warning too. Most warnings are about something that Nix does without."""

    @property
    def advice(self) -> str:
        """What went wrong and what to do, in a sentence."""
        general = CAUSES[self.cause]
        meaning = f"{general.meaning[0].upper()}{general.meaning[1:]}"
        return self.words or f"{meaning}: {general.cure}."

    @property
    def advised(self) -> Advice:
        return Advice(self.advice, (*self.names, *CAUSES[self.cause].remedies))


_BY_KEY: Final = "(in the plan: L)"
"""The key of the app that chooses a force level."""

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

OOM_KILLED: Final = "the kernel ended a process of this job: the host was out of memory"
"""The host's runner says so if the kernel has counted it. The killed process says nothing."""

# Frames. A URL has no blank and no quote, so no frame reaches into the next one.

_GIT_URL: Final = "unable to access '[a-z+]+://[^' ]*'"
"""git's own files stand in the same frame, but they have no scheme (wrapper.c)."""
_GIT_HTTP: Final = f"({_GIT_URL}: |RPC failed; )"
"""The frame of git over http (remote-curl.c): curl's words follow."""
_NIX_URL: Final = "unable to (down|up)load '[^' ]*': "
"""The frame of Nix's and Lix's downloads: `HTTP error N` or curl's words follow, and its code."""


def _git_status(codes: str) -> str:
    """git was answered with one of these; also by a proxy, or as old versions say it."""
    return f"{_GIT_HTTP}.*(error:|response|HTTP|code|code =) ({codes})([^0-9]|$)"


def _nix_status(codes: str) -> str:
    return f"{_NIX_URL}HTTP error ({codes})([^0-9]|$)"


def _nix_curl(codes: str) -> str:
    """Nix: `words (7)`; Lix: `words (curl error code=7)`. The words can have parentheses, too."""
    return rf"{_NIX_URL}[^(]*(\([^0-9][^)]*\)[^(]*)*\((curl error code=)?({codes})\)"


_REFUSED: Final = "401|403|407"
_MISSING: Final = "404|410"
_REJECTED: Final = "4(0[0-79]|1[0-9]|2[0-8]|[3-9][0-9])"
"""Every 4xx but 408 and 429, which pass."""
_SERVER_FAILS: Final = "408|5[0-9][0-9]"

_CERTIFICATE: Final = (
    "[Cc]ertificate|CAfile|SSL CA cert|trust anchors|SecTrust|pinned public key|SSH remote key"
)
"""What each of curl's TLS libraries says of a certificate (lib/strerror.c, lib/vtls)."""

_CURL_CERTIFICATE: Final = "58|60|77|82|83|90|91"
_CURL_HOPELESS: Final = "1|2|3|4|9|23|37|41|43|45|47|48|61"
"""curl's codes after which Nix does not try again by itself either (filetransfer.cc)."""

FAILURES: Final[tuple[Failure, ...]] = (
    # The causes of other failures.
    Failure(
        id="boot-full",
        pattern="(^|[ '\"])/(boot|efi)[/:'\" ].*No space left on device"
        "|No space left on device.* '/(boot|efi)[/']",
        kind="permanent",
        source="system",
        cause="disk-full",
        words="The boot partition is full: delete old generations, as with nix-collect-garbage "
        "--delete-older-than 30d, and switch again, which removes their kernels; or remove some "
        "by hand.",
        weight=2,
    ),
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
        "|Killed signal terminated program|internal compiler error: Killed|signal: 9, SIGKILL"
        "|[Cc]annot allocate memory|std::bad_alloc|virtual memory exhausted"
        "|error: out of memory|LLVM ERROR: out of memory|(Nix|Lix) daemon out of memory"
        "|GC Warning: Out of Memory|Too many heap sections"
        f"|[Oo]ut of memory: Killed|killed by the OOM killer|{OOM_KILLED}",
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
        words=f"A binary cache serves a damaged file: force level 5 builds instead {_BY_KEY}.",
        names=("update",),
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
    # Nix's downloads.
    Failure(
        id="rate-limit",
        pattern=f"rate limit exceeded|{_nix_status('429')}|{_git_status('429')}|rate limited by '",
        kind="transient",
        source="nix",
        cause="rate-limit",
        weight=2,
    ),
    Failure(
        id="nix-download-refused",
        pattern=_nix_status(_REFUSED),
        kind="permanent",
        source="nix",
        cause="auth",
        words="The server refused the download: give nix access-tokens or a netrc for it.",
    ),
    Failure(
        id="nix-download-missing",
        pattern=_nix_status(_MISSING),
        kind="permanent",
        source="nix",
        cause="not-found",
        words="The server has no such file: check the input's URL; "
        "a private repository needs access-tokens.",
    ),
    Failure(
        id="nix-certificate",
        pattern=f"{_nix_curl(_CURL_CERTIFICATE)}|{_NIX_URL}.*({_CERTIFICATE})",
        kind="permanent",
        source="nix",
        cause="fetch-failed",
        words="The server's certificate is not accepted: check the host's clock, its certificates "
        "(ssl-cert-file) and the URL.",
    ),
    Failure(
        id="nix-download-hopeless",
        pattern=f"{_nix_status(_REJECTED)}|{_nix_curl(_CURL_HOPELESS)}",
        kind="permanent",
        source="nix",
        cause="fetch-failed",
        words="The download fails however often it is tried: check its URL, which the log has.",
        names=("log",),
    ),
    Failure(
        id="cache-download",
        pattern="unable to download '[^' ]*/nar/[^' ]*': |nix::SubstituterDisabled"
        "|substituter '[^' ]*' is disabled",
        kind="transient",
        source="nix",
        cause="fetch-failed",
        words="A binary cache does not deliver what it has: try again; "
        f"force level 5 builds instead {_BY_KEY}.",
    ),
    Failure(
        id="nix-download",
        pattern=_NIX_URL,
        kind="transient",
        source="nix",
        cause="fetch-failed",
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
        id="nix-cut-archive",
        pattern="[Ff]ailed to (extract|open|read) archive|[Ff]ailed to read compressed data"
        "|bad archive: |truncated NAR|unexpected end of nar",
        kind="transient",
        source="nix",
        cause="fetch-failed",
        words="A download broke off: try again.",
    ),
    # git over http.
    Failure(
        id="git-http-refused",
        pattern=_git_status(_REFUSED),
        kind="permanent",
        source="git",
        cause="auth",
        words="The git server refused access: check the checkout owner's credentials.",
    ),
    Failure(
        id="git-http-missing",
        pattern=_git_status(_MISSING),
        kind="permanent",
        source="git",
        cause="not-found",
    ),
    Failure(
        id="git-http-rejected",
        pattern=_git_status(_REJECTED),
        kind="permanent",
        source="git",
        cause="fetch-failed",
        words="The git server rejects the request: check the remote's URL.",
    ),
    Failure(
        id="git-certificate",
        pattern=f"{_GIT_HTTP}.*({_CERTIFICATE})|{_GIT_URL} with http\\.pinnedPubkey",
        kind="permanent",
        source="git",
        cause="fetch-failed",
        words="The git server's certificate is not accepted: check the host's clock, git's "
        "http.sslCAInfo and the remote's URL.",
    ),
    Failure(
        id="git-http-failing",
        pattern=_git_status(_SERVER_FAILS),
        kind="transient",
        source="git",
        cause="fetch-failed",
        words="The git server fails: try again later.",
    ),
    Failure(
        id="git-network",
        pattern=f"{_GIT_HTTP}|unable to connect to [^ ]*:$|unable to look up [^ ]* \\("
        r"|\[[0-9]+: [^ ]*\]: errno=",
        kind="transient",
        source="git",
        cause="fetch-failed",
        words="The git server could not be reached: check the host's network and DNS, "
        "and try again.",
    ),
    Failure(
        id="git-broken-off",
        pattern="early EOF|fetch-pack: (invalid index-pack output|unexpected disconnect)"
        "|the remote end hung up (unexpectedly|upon initial contact)"
        "|bytes of (body|length header) (are still expected|were received)"
        "|protocol error: bad pack header|fatal: read error: Connection"
        "|expected (flush|response end packet) after ref listing"
        "|remote did not send all necessary objects",
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
        "|unable to get password from user|HTTP Basic: Access denied",
        kind="permanent",
        source="git",
        cause="auth",
        words="git has no working credentials: give the checkout's owner a deploy key or a token.",
    ),
    Failure(
        id="git-no-repository",
        pattern="repository '[^']*' not found|ERROR: Repository not found"
        "|ERROR: The project you were looking for could not be found"
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
        words="ssh was refused: a job has only the keys of the checkout's owner on the host, and "
        "nobody whom ssh could ask; give the server a key of that user without a passphrase.",
    ),
    Failure(
        id="ssh-host-key",
        pattern="Host key verification failed",
        kind="permanent",
        source="ssh",
        cause="host-key",
    ),
    Failure(
        id="ssh-host-key-changed",
        pattern="REMOTE HOST IDENTIFICATION HAS CHANGED",
        kind="permanent",
        source="ssh",
        cause="host-key",
        words="The server's key is not the one that the checkout's owner knows: if it has a new "
        "one, compare it, then as that user, on the host: ssh-keygen -R SERVER.",
        weight=2,
    ),
    Failure(
        id="ssh-unusable",
        pattern="Unable to negotiate with .* no matching |Bad configuration option: "
        "|Bad owner or permissions on ",
        kind="permanent",
        source="ssh",
        cause="fetch-failed",
        words="ssh cannot be used like this: the log names the setting, or what ssh and the server "
        "do not have in common.",
        names=("log",),
    ),
    Failure(
        id="ssh-network",
        pattern="(kex|ssh)_exchange_identification: "
        "|Could not resolve hostname |connect to host [^ ]+ port [0-9]+: "
        "|Connection timed out during banner exchange|Timeout, server .* not responding"
        "|Connection to [^ ]+ port [0-9]+ timed out|stdio forwarding failed",
        kind="transient",
        source="ssh",
        cause="fetch-failed",
        words="The server does not answer ssh: check its name, the network, and that it is up.",
    ),
    Failure(
        id="ssh-broken-off",
        pattern="Connection closed by |Connection reset by |Connection to .* closed by remote host"
        "|client_loop: send disconnect: |Read from remote host [^ ]+: "
        "|(ssh_dispatch_run_fatal|packet_write_wait|banner exchange): Connection to "
        "|Received disconnect from ",
        kind="transient",
        source="ssh",
        cause="fetch-failed",
        words="The connection broke off: try again.",
        weight=0,
    ),
    # Nix itself.
    Failure(
        id="nix-daemon",
        pattern="(Nix|Lix) daemon disconnected unexpectedly|cannot connect to socket at"
        "|could not connect to any lix socket|unexpected EOF (from daemon|reading a line)"
        "|unexpected end-of-file|daemon-socket/socket['\"]?: Connection refused",
        kind="transient",
        source="nix",
        cause="daemon",
    ),
    Failure(
        id="nix-daemon-forbidden",
        pattern="daemon-socket/socket['\"]?: Permission denied",
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
        words=f"A binary cache failed: try again; force level 5 builds instead {_BY_KEY}.",
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
        from_warnings=True,
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
        cause="eval-failed",
        words="The configuration names something that is not there: correct nixcfg.",
    ),
    Failure(
        id="eval-cache",
        pattern="cached failed attribute '[^']*' unexpectedly succeeded",
        kind="permanent",
        source="nix",
        cause="eval-failed",
        words=f"Nix's evaluation cache is out of date: use force level 4 {_BY_KEY}, "
        "or remove ~/.cache/nix/eval-cache*.",
        names=("update",),
    ),
    Failure(
        id="eval-failed",
        pattern="error: syntax error|error: undefined variable|infinite recursion encountered"
        "|Failed assertions:|error: evaluation aborted|The option .* does not exist"
        "|[Rr]efus(ing|ed) to evaluate|error: stack overflow|error: assertion .* failed",
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
        from_warnings=True,
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
    Failure(
        id="units-failed",
        pattern="the following (user )?units failed: ",
        kind="permanent",
        source="switch",
        cause="units-failed",
        words="The switch left failed units, which the log names.",
        from_warnings=True,
    ),
    Failure(
        id="switch-inhibited",
        pattern="Pre-switch check 'switchInhibitors' failed",
        kind="permanent",
        source="switch",
        cause="switch-inhibited",
        weight=2,
    ),
    # home-manager, since 2025 and before. A file that it skips or renames is no failure.
    Failure(
        id="home-file-in-the-way",
        pattern="Existing file '.*' (would be clobbered|is in the way of '[^']*'$)",
        kind="permanent",
        source="switch",
        cause="file-in-the-way",
        weight=2,
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
