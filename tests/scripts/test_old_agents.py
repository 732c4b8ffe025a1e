"""Which agents of launchd run programs of an older home: a real run of the look, whose tools print
what a Mac's print."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import Final

import pytest
from fake_host import DARWIN, FakeHost

from nixfleet_core.facts.old_units import read_old_units
from nixfleet_core.facts.parse import read_records
from nixfleet_core.judge.debt import Debt, Owing, debt_sentence, restart_debt

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

UID: Final = os.getuid()
DYLD: Final = "/usr/lib/dyld"
SYSTEM: Final = "/usr/share/icu/icudt74l.dat"
"""What every program of a Mac maps."""
NOW: Final = 1_700_000_000


def path(name: str, letter: str) -> str:
    """A store path; the letter tells which."""
    return f"/nix/store/{letter * 32}-{name}"


HOME: Final = path("home-manager-generation", "h")
OLD_HOME: Final = path("home-manager-generation", "0")
OLD: Final = path("web-1.0", "a")
NEW: Final = path("web-2.0", "b")
OLD_SSL: Final = path("openssl-3.0.13", "d")
NEW_SSL: Final = path("openssl-3.0.14", "f")
BASH: Final = path("bash-5.2", "g")
FOREIGN: Final = path("hello-2.12", "i")
CLOSURE: Final = (HOME, NEW, NEW_SSL, BASH)
OLDER: Final = (OLD_HOME, OLD, OLD_SSL, BASH)

MACH_O: Final = b"\xcf\xfa\xed\xfe\x0c\x00\x00\x01"


def words(program: str) -> tuple[str, ...]:
    """How Home Manager starts an agent: its shell waits for the store. With "=" without a shell."""
    if program.startswith("="):
        return (program[1:], "--serve")
    return ("/bin/sh", "-c", f"/bin/wait4path /nix/store && exec {program} --serve")


def plist(label: str, argv: tuple[str, ...], package: str) -> str:
    """As Home Manager writes it, with a package in its PATH."""
    strings = "".join(f"\t\t<string>{word.replace('&', '&amp;')}</string>\n" for word in argv)
    return (
        "<dict>\n\t<key>EnvironmentVariables</key>\n\t<dict>\n\t\t<key>PATH</key>\n"
        f"\t\t<string>{package}/bin:/usr/bin</string>\n\t</dict>\n\t<key>Label</key>\n"
        f"\t<string>{label}</string>\n\t<key>ProgramArguments</key>\n\t<array>\n{strings}"
        "\t</array>\n</dict>\n"
    )


def described(label: str, argv: tuple[str, ...], package: str) -> str:
    """What launchctl prints of a loaded job."""
    lines = "".join(f"\t\t{word}\n" for word in argv)
    return (
        f"gui/{UID}/{label} = {{\n\tactive count = 1\n\tstate = running\n\n"
        f"\tprogram = {argv[0]}\n\targuments = {{\n{lines}\t}}\n\n"
        f"\tenvironment = {{\n\t\tPATH => {package}/bin:/usr/bin\n\t}}\n}}\n"
    )


@dataclass
class Mac:
    """A Mac with agents and their processes."""

    host: FakeHost
    loaded: dict[str, list[str]] = field(default_factory=lambda: {"gui": [], "user": []})
    ps: list[str] = field(default_factory=list)
    lsof: list[str] = field(default_factory=list)

    def link(self, name: str, target: str) -> None:
        link = self.host.root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{self.host.root}{target}")

    def agent(
        self,
        label: str,
        pid: int,
        starts: str = f"{NEW}/bin/web",
        *,
        loaded: str = "",
        path: str = NEW_SSL,
        domain: str = "gui",
        home: str = HOME,
    ) -> None:
        """Let the home have that agent, and launchd."""
        self.host.put(f"{home}/LaunchAgents/{label}.plist", plist(label, words(starts), NEW_SSL))
        if home == HOME:
            written = f"/home/ops/Library/LaunchAgents/{label}.plist"
            self.host.put(written, plist(label, words(starts), NEW_SSL))
        self.loaded[domain].append(f"\t\t{pid:8}      - \t{label}\n")
        self.host.set(f"{domain}-{label}", described(label, words(loaded or starts), path))

    def process(
        self,
        pid: int,
        *names: str,
        parent: int = 1,
        said: str = "",
        uid: int = UID,
        age: str = "01:40",
    ) -> None:
        """Let a process run; `names` are those that lsof has, the program's first."""
        self.ps.append(f"{pid:5} {parent:5} {uid:5} {age:>11} {said or names[0]}\n")
        if uid == UID:
            files = "".join(f"ftxt\nn{self.where(name)}\n" for name in (*names, SYSTEM, DYLD))
            self.lsof.append(f"p{pid}\n{files}")

    def where(self, name: str) -> str:
        """Where this machine has it."""
        return f"{self.host.root}{name}" if name.startswith("/nix/") else name

    def look(self) -> list[list[str]]:
        """The lines of the answer, sorted."""
        host = self.host
        for domain, rows in self.loaded.items():
            head = f"{domain}/{UID} = {{\n\ttype = login\n\n\tservices = {{\n"
            head += "\t\t       0     (pe) \tcom.apple.a\n"
            tail = "\t}\n\n\tunmanaged processes = {\n\t\t77 = {\n\t\t}\n\t}\n}"
            host.set(domain, f"{head}{''.join(rows)}{tail}")
        host.set("ps", "".join(self.ps).rstrip("\n"))
        host.set("lsof", "".join(self.lsof).rstrip("\n"))
        said = self.ask()
        lines = sorted(line.split("\t") for line in said.splitlines())
        assert all(all(line) for line in lines), lines
        return lines

    def ask(self) -> str:
        done = self.host.ask("debt", NF_PLATFORM_GIVEN="home-manager")
        assert (done.returncode, done.stderr) == (0, b"")
        return read_records(done.stdout)["debt"]

    def debt(self) -> Debt:
        """What is judged of it."""
        self.look()
        return restart_debt(read_old_units(self.ask()))


@pytest.fixture
def mac(host: FakeHost) -> Mac:
    """The active home is the second generation; the first is still there."""
    mac = Mac(host)
    for link, target in {
        "home/ops/.local/state/nix/profiles/home-manager-1-link": OLD_HOME,
        "home/ops/.local/state/nix/profiles/home-manager-2-link": HOME,
        "home/ops/.local/state/nix/profiles/home-manager": HOME,
    }.items():
        mac.link(link, target)
    for file in (f"{HOME}/activate", f"{OLD_HOME}/activate"):
        host.put(file, "#!/bin/sh\n")
    for file in (f"{OLD}/bin/web", f"{NEW}/bin/web", f"{BASH}/bin/bash"):
        host.put(file, MACH_O + file.encode())
    host.set("requisites", "\n".join(CLOSURE))
    host.set("older", "\n".join({*CLOSURE, *OLDER}))
    host.on("uname", DARWIN)
    host.on("date", f'case "$*" in +%s) echo {NOW} ;; *) exec {shutil.which("date")} "$@" ;; esac')
    host.on("nix-store", 'case "$*" in *-1-link*) cat "$s/older" ;; *) default "$@" ;; esac')
    host.on("ps", 'cat "$s/ps"')
    host.on("lsof", 'cat "$s/lsof"; exit 1')
    host.on("plutil", "exit 1")
    # as on a Mac: a description of the domain, or of the job
    host.on(
        "launchctl",
        f"""case $2 in
  */{UID}) [ -s "$s/${{2%/*}}" ] && cat "$s/${{2%/*}}" ;;
  *) of=${{2##*/}}; [ -s "$s/${{2%%/*}}-$of" ] && cat "$s/${{2%%/*}}-$of" ;;
esac || {{ echo 'Bad request.' >&2; exit 113; }}""",
    )
    host.on("taskpolicy", '[ "$1" = -b ] || exit 64; shift; exec "$@"')
    return mac


def of(lines: list[list[str]], *kinds: str) -> list[list[str]]:
    return [line for line in lines if line[0] in kinds]


def owed(debt: Debt) -> dict[str, Owing]:
    assert all(one.uid == UID for one in debt.units)
    return {one.unit: one for one in debt.units}


def test_an_agent_with_an_old_program(mac: Mac) -> None:
    """Its plist has not changed: it runs what its PATH had."""
    mac.agent("org.web", 100)
    mac.agent("org.good", 101)
    mac.process(100, f"{OLD}/bin/web", f"{NEW_SSL}/lib/libssl.3.dylib", age="1-02:03:04")
    mac.process(101, f"{NEW}/bin/web", f"{NEW_SSL}/lib/libssl.3.dylib")
    mac.process(102, f"{FOREIGN}/bin/hello")  # of nobody
    key = f"{UID}/org.web"
    since = str(NOW - 93784)
    assert mac.look() == [
        ["looked", "2", "0"],
        ["newer", OLD, NEW],
        ["old", OLD],
        ["older", OLD],
        ["process", "100", key, since, "here", f"{OLD}/bin/web", "-", "1"],
        ["unit", key, f"{OLD}/bin/web", "launchd gui", f"{NEW}/bin/web"],
    ]
    (one,) = mac.debt().units
    assert (one.old, one.new, one.kind) == (f"{OLD}/bin/web", NEW, "program")
    assert one.pay == f"launchctl kickstart -k gui/{UID}/org.web"


@one_shell
def test_each_tool_is_asked_once_and_gently(mac: Mac) -> None:
    for pid in range(100, 130):
        mac.agent(f"org.web{pid}", pid)
        mac.process(pid, f"{NEW}/bin/web")
    mac.look()
    calls = mac.host.calls("lsof", "ps", "nix-store", "launchctl")
    calls = [call for call in calls if "com.nixfleet.job" not in call]
    pids = calls[-1].split()[3].split(",")
    assert sorted(pids) == [str(pid) for pid in range(100, 130)]
    shown = [" ".join(call.split()[:3]) for call in calls]
    assert shown == [
        f"launchctl print gui/{UID}",
        f"launchctl print user/{UID}",
        "ps -A -ww",
        "nix-store --query --requisites",
        "lsof -a -p",
    ]
    gently = [call.split()[2] for call in mac.host.calls("taskpolicy")]
    assert gently == ["launchctl", "launchctl", "ps", "nix-store", "lsof"]


@one_shell
def test_all_below_an_agent_is_the_agents(mac: Mac) -> None:
    mac.agent("org.web", 100, domain="user")
    mac.process(100, f"{NEW}/bin/web")
    mac.process(110, "/bin/sh", parent=100)
    mac.process(120, f"{OLD}/bin/web", parent=110)
    mac.process(130, f"{OLD}/bin/web", parent=120, uid=UID + 1)
    mac.process(140, f"{FOREIGN}/bin/hello", parent=110)
    debt = mac.debt()
    assert (debt.looked, debt.unseen, debt.apart.foreign) == (4, 1, 1)
    (one,) = debt.units
    assert (one.unit, one.pay) == ("org.web", f"launchctl kickstart -k user/{UID}/org.web")
    assert debt_sentence(debt).endswith("; only root may look at 1 more process")


@one_shell
def test_a_library_and_a_script(mac: Mac) -> None:
    mac.host.put(f"{OLD}/bin/run", "#!/usr/bin/env bash\n")
    mac.host.put(f"{OLD}/bin/sh-run", "#!/bin/sh\n")
    mac.agent("org.maps", 100)
    mac.process(100, f"{NEW}/bin/web", f"{OLD_SSL}/lib/libssl.3.dylib", f"{OLD_SSL}/lib/b.dylib")
    mac.agent("org.script", 101)
    mac.process(101, f"{BASH}/bin/bash", said=f"{BASH}/bin/bash -eu {OLD}/bin/run --all")
    mac.agent("org.sh", 104)
    mac.process(104, "/bin/bash", said=f"/bin/sh {OLD}/bin/sh-run")
    mac.agent("org.other-shell", 105)
    mac.process(105, "/bin/cat", said=f"/bin/cat {OLD}/bin/sh-run")
    # a launcher names a program, and a reader a file that is no program
    mac.agent("org.launcher", 102)
    mac.process(102, "/usr/bin/caffeinate", said=f"/usr/bin/caffeinate -i {OLD}/bin/web")
    mac.agent("org.reader", 103)
    mac.process(103, f"{NEW}/bin/web", said=f"{NEW}/bin/web {OLD}/etc/web.conf")
    found = owed(mac.debt())
    assert sorted(found) == ["org.maps", "org.script", "org.sh"]
    assert (found["org.maps"].kind, found["org.maps"].libraries) == ("library", 1)
    assert (found["org.maps"].old, found["org.maps"].new) == (OLD_SSL, NEW_SSL)
    assert (found["org.script"].kind, found["org.script"].old) == ("script", f"{OLD}/bin/run")


@one_shell
def test_a_program_that_is_deleted_is_known_by_its_command_line(mac: Mac) -> None:
    """lsof has no name for it: what it names first is a library, or the loader."""
    gone = path("gone-1.0", "z")
    mac.agent("org.gone", 100)
    mac.process(100, DYLD, said=f"{gone}/bin/gone --serve")
    mac.agent("org.library", 101)
    mac.process(101, f"{NEW_SSL}/lib/libssl.3.dylib", said=f"{gone}/bin/gone")
    mac.agent("org.other", 102)
    mac.process(102, DYLD, said="gone")
    mac.agent("org.lies", 103)
    mac.process(103, DYLD, said=f"{OLD}/bin/web")
    debt = mac.debt()
    found = owed(debt)
    assert sorted(found) == ["org.gone", "org.library"]
    assert found["org.gone"].is_deleted
    assert found["org.gone"].old == f"{gone}/bin/gone"
    assert (debt.not_seen, debt.is_known, debt.is_whole) == (("names",), True, False)
    assert debt_sentence(debt) == (
        "2 units run old programs; lsof has no name for some programs, and their files may be gone"
    )


@one_shell
def test_the_names_of_an_optimised_store(mac: Mac) -> None:
    """lsof tells any hard link of a file."""
    root = mac.host.root
    links = root / "nix/store/.links"
    links.mkdir()
    for name, file in {"0old": f"{OLD}/bin/web", "0new": f"{NEW}/bin/web"}.items():
        os.link(f"{root}{file}", links / name)
    for file in (f"{OLD}/bin/same", f"{OLD_SSL}/lib/same"):
        mac.host.put(file, MACH_O)
    for file, same in {OLD: NEW, OLD_SSL: NEW_SSL}.items():
        of_both = "bin/same" if file == OLD else "lib/same"
        new = mac.host.root / same[1:] / of_both
        new.parent.mkdir(parents=True, exist_ok=True)
        os.link(f"{root}{file}/{of_both}", new)
    for label, pid, name, said, *more in (
        ("org.old", 100, "/nix/store/.links/0old", f"{OLD}/bin/web"),
        ("org.new", 101, "/nix/store/.links/0new", f"{NEW}/bin/web"),
        ("org.lies", 102, "/nix/store/.links/0new", f"{OLD}/bin/web"),
        ("org.nothing", 103, "/nix/store/.links/0old", "web"),
        ("org.same", 104, f"{OLD}/bin/same", ""),
        ("org.library", 105, f"{NEW}/bin/web", "", f"{OLD_SSL}/lib/same"),
    ):
        mac.agent(label, pid)
        mac.process(pid, name, *more, said=said)
    debt = mac.debt()
    assert sorted(owed(debt)) == ["org.old"]
    assert debt.not_seen == ("names",)


@one_shell
def test_how_the_debt_of_a_loaded_plist_is_paid(mac: Mac) -> None:
    """A kickstart starts what is loaded, however old."""
    mac.agent("org.loaded", 100, loaded=f"{OLD}/bin/web")
    mac.process(100, f"{OLD}/bin/web")
    mac.agent("org.direct", 103, f"={NEW}/bin/web")
    mac.process(103, f"{OLD}/bin/web")
    mac.agent("org.environment", 104, path=OLD_SSL)
    mac.process(104, f"{OLD}/bin/web")
    mac.agent("org.removed", 101, f"{OLD}/bin/web", home=OLD_HOME)
    mac.process(101, f"{OLD}/bin/web")
    mac.agent("com.nixfleet.agent", 102)
    mac.process(102, f"{OLD}/bin/web")
    found = owed(mac.debt())
    reload = (
        "launchctl bootout gui/{0}/{1}; sleep 5; launchctl bootstrap gui/{0} "
        "~/Library/LaunchAgents/{1}.plist; launchctl kickstart gui/{0}/{1}"
    )
    reason = "launchd has an older plist of it loaded, and would start that again"
    assert {unit: (one.pay, one.reason) for unit, one in found.items()} == {
        "com.nixfleet.agent": (f"launchctl kickstart -k gui/{UID}/com.nixfleet.agent", ""),
        "org.direct": (f"launchctl kickstart -k gui/{UID}/org.direct", ""),
        "org.environment": (reload.format(UID, "org.environment"), reason),
        "org.loaded": (reload.format(UID, "org.loaded"), reason),
        "org.removed": (
            f"launchctl bootout gui/{UID}/org.removed",
            "the active home no longer has this agent",
        ),
    }


@one_shell
def test_an_agent_that_waits_or_belongs_to_nobody_owes_nothing(mac: Mac) -> None:
    mac.agent("org.waits", 100)
    mac.process(100, "/bin/sh", said=f"/bin/sh -c /bin/wait4path /nix/store && exec {OLD}/bin/web")
    mac.agent("org.starts", 101)
    mac.process(101, "/usr/libexec/xpcproxy", said="xpcproxy org.starts")
    mac.loaded["gui"].append("\t\t     102      0 \torg.of.another.tool\n")
    mac.process(102, f"{OLD}/bin/web")
    mac.ps.append(f"@launchd gui\n\tservices = {{\n\t\t103 0 org.waits\n  103 1 {UID} 00:01 x\n")
    mac.agent("org.after", 104)
    mac.process(104, f"{NEW}/bin/web")
    assert mac.look() == [["looked", "3", "0"]]


@one_shell
@pytest.mark.parametrize(
    ("tool", "does", "failed"),
    [
        ("launchctl", "echo 'Bad request.' >&2; exit 113", "units"),
        ("ps", "exit 1", "processes"),
        ("lsof", "exit 1", "processes"),
        ("nix-store", "echo 'error: busy' >&2; exit 1", "closure"),
        ("nix-store", "exit 0", "closure"),
    ],
)
def test_what_could_not_be_asked_is_said(mac: Mac, tool: str, does: str, failed: str) -> None:
    mac.agent("org.web", 100)
    mac.process(100, f"{OLD}/bin/web")
    mac.host.on(tool, does)
    assert mac.look() == [["failed", failed]]


@one_shell
def test_without_a_home_nothing_is_known(mac: Mac) -> None:
    (mac.host.root / "home/ops/.local/state/nix/profiles/home-manager").unlink()
    mac.process(100, f"{OLD}/bin/web")
    assert mac.look() == [["failed", "closure"]]


@one_shell
def test_without_a_login_at_the_screen_the_agents_of_the_user_are_seen(mac: Mac) -> None:
    mac.agent("org.web", 100, domain="user")
    mac.process(100, f"{OLD}/bin/web")
    mac.look()
    mac.host.set("gui", "")
    assert of([line.split("\t") for line in mac.ask().splitlines()], "unit", "failed") == [
        ["unit", f"{UID}/org.web", f"{OLD}/bin/web", "launchd user", f"{NEW}/bin/web"]
    ]
