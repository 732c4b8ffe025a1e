"""Which units run programs of an older system: a real run of the look over a /proc of files."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from fake_host import CHECKOUT, JOB, SYSTEMS, FakeHost

from nixfleet_core.facts.parse import read_records
from nixfleet_core.scripts.compose import question

if TYPE_CHECKING:
    from collections.abc import Iterable

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

NOW: Final = SYSTEMS["1.0"]
START: Final = 0x55D0_0000_1000
UID: Final = os.getuid()
"""A user whose home this machine knows."""


def path(name: str, letter: str) -> str:
    """A store path; the letter tells which."""
    return f"/nix/store/{letter * 32}-{name}"


OLD: Final = path("web-1.0", "a")
NEW: Final = path("web-2.0", "b")
LIBC: Final = path("glibc-2.40-66", "c")
OLD_SSL: Final = path("openssl-3.0.13-lib", "d")
NEW_SSL: Final = path("openssl-3.0.14-lib", "f")
BASH: Final = path("bash-5.2", "g")
OTHER: Final = path("openssl-3.0.14-bin", "h")
OF_HOME: Final = path("player-7", "i")
HOME: Final = path("home-manager-generation", "j")
CLOSURE: Final = (NOW, NEW, LIBC, NEW_SSL, BASH, OTHER)
SHELL: Final = f"{BASH}/bin/bash"
WEB: Final = "/system.slice/web.service"
USERS: Final = f"/user.slice/user-{UID}.slice/user@{UID}.service"


@dataclass
class Machine:
    """A host with processes and the units that they belong to."""

    host: FakeHost
    blocks: list[str] = field(default_factory=list)

    def unit(
        self, name: str, pid: int, starts: str = f"{NEW}/bin/web", *more: str, group: str = ""
    ) -> None:
        self.blocks.append(
            "\n".join(
                (
                    f"MainPID={pid}",
                    f"ExecStart={{ path={starts} ; argv[]={starts} --serve ; ignore_errors=no }}",
                    f"ControlGroup={group or f'/system.slice/{name}'}",
                    f"Id={name}",
                    "LoadState=loaded",
                    *more,
                )
            )
        )

    def process(
        self,
        pid: int,
        group: str,
        exe: str,
        *mapped: str,
        words: str = "",
        code: int = START + 0x100,
        parent: int = 1,
        gone: bool = False,
    ) -> Path:
        """`code` 1 is one that only root may look at, 0 one without a program."""
        root, folder = self.host.root, self.host.root / f"proc/{pid}"
        folder.mkdir()
        (folder / "cgroup").write_text(group if ":" in group else f"0::{group}\n")
        fields = ["S", str(parent), *["0"] * 17, "500", "0", "0", "0", str(code), "0"]
        (folder / "stat").write_text(
            f"{pid} (a) b) {' '.join(fields[:19])} {' '.join(fields[19:])}\n"
        )
        end = " (deleted)" if gone else ""
        lines = [
            f"{START - 0x1000:x}-{START:x} r--p 00000000 00:1f 77     {root}{exe}{end}",
            f"{START:x}-{START + 0x1000:x} r-xp 00001000 00:1f 77     {root}{exe}{end}",
            "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ",
        ]
        for n, file in enumerate(mapped):
            whole = f"{root}{file}" if file.startswith("/nix") else file
            for part, mode in enumerate(("r--p", "r-xp", "rw-p")):
                at = f"7f000000{n:02x}{part}"
                lines.append(f"{at}000-{at}fff {mode} {part}000 00:1f 78   {whole}")
        (folder / "maps").write_text("".join(f"{line}\n" for line in lines) if code > 1 else "")
        self.says(f"{pid} 0 {words or exe}")
        return folder

    def says(self, line: str) -> None:
        """Let ps list this, too."""
        listed = self.host.state / "ps"
        listed.write_text((listed.read_text() if listed.exists() else "") + f"{line}\n")

    def in_root(self, pid: int, root: Path, *, alone: bool = False) -> None:
        """Let a process see that folder as its root; alone: with process ids of its own."""
        own, ours = root / "own-ids", self.host.root / "proc/self/ns/pid"
        ours.parent.mkdir(parents=True, exist_ok=True)
        for file in (own, ours):
            file.touch()
        ids = self.host.root / f"proc/{pid}/ns/pid"
        ids.parent.mkdir()
        ids.symlink_to(own if alone else ours)
        (self.host.root / f"proc/{pid}/root").symlink_to(root)

    def nix(self, *, home: Iterable[str] = (), older: Iterable[str] = ()) -> None:
        """What Nix says of homes, and of older generations."""
        self.host.set("of-home", "\n".join(home))
        self.host.set("of-older", "\n".join(older))
        self.host.on(
            "nix-store",
            """case "$*" in
              *-link*) cat "$s/of-older" ;;
              *home-manager-generation*) cat "$s/of-home" ;;
              *) cat "$s/requisites" ;;
            esac""",
        )

    def home(self, *closure: str) -> None:
        """The user has a manager and a home with that closure."""
        (self.host.root / f"run/user/{UID}").mkdir(parents=True)
        links = self.host.root / "home/ops/.local/state/home-manager/gcroots"
        links.mkdir(parents=True)
        generation = self.host.root / HOME[1:]
        generation.mkdir()
        (links / "current-home").symlink_to(generation)
        self.nix(home=(HOME, *closure))

    def prepare(self) -> None:
        host = self.host
        (host.root / "proc/stat").write_text("cpu 1 2\nintr 5 6\nbtime 1700000000\n")
        host.on("ps", 'cat "$s/ps"')
        host.set("units", "\n\n".join(self.blocks))
        host.on("systemctl", 'case "$*" in *.mount*) cat "$s/units" ;; *) default "$@" ;; esac')

    def ask(self, **values: str) -> str:
        done = self.host.ask("debt", **values)
        assert (done.returncode, done.stderr) == (0, b"")
        return read_records(done.stdout)["debt"]

    def look(self, **values: str) -> list[list[str]]:
        """The lines of the answer, sorted."""
        self.prepare()
        return sorted(line.split("\t") for line in self.ask(**values).splitlines())


@pytest.fixture
def machine(host: FakeHost) -> Machine:
    host.set("requisites", "\n".join(CLOSURE))
    made = Machine(host)
    made.nix()
    return made


def of(lines: Iterable[list[str]], *kinds: str) -> list[list[str]]:
    return [line for line in lines if line[0] in kinds]


def keys(lines: Iterable[list[str]]) -> list[str]:
    return [line[1] for line in lines if line[0] == "unit"]


def fill(machine: Machine) -> list[list[str]]:
    """Some of each kind; what a look says of them."""
    host = machine.host
    host.put(f"{OLD}/bin/tick", f"#!{SHELL} -e\n")
    machine.unit("web.service", 100)
    machine.process(100, WEB, f"{OLD}/bin/web", f"{LIBC}/lib/libc.so.6")
    machine.unit("db.service", 101, f"{LIBC}/bin/db")
    machine.process(101, "/system.slice/db.service", f"{LIBC}/bin/db", f"{LIBC}/lib/libc.so.6")
    machine.unit("maps.service", 102, f"{LIBC}/bin/db")
    ssl = (f"{OLD_SSL}/lib/libssl.so.3", f"{OLD_SSL}/lib/libcrypto.so.3", f"{LIBC}/lib/libc.so.6")
    machine.process(102, "/system.slice/maps.service", f"{LIBC}/bin/db", *ssl)
    machine.unit("tick.service", 103, f"{NEW}/bin/tick")
    machine.process(103, "/system.slice/tick.service", SHELL, words=f"{SHELL} -e {OLD}/bin/tick x")
    machine.home()
    machine.unit(f"user@{UID}.service", 110, "/x/systemd", group=USERS)
    machine.process(110, f"{USERS}/init.scope", f"{LIBC}/bin/systemd")
    machine.process(111, f"{USERS}/app.slice/play.service", f"{OF_HOME}/bin/play", parent=110)
    machine.process(112, f"{USERS}/app.slice/old.service", f"{OLD}/bin/web", parent=110)
    machine.process(113, f"/user.slice/user-{UID}.slice/session-1.scope", f"{OLD}/bin/web")
    # a home shares most paths with the system
    machine.nix(home=(HOME, OF_HOME, NEW, NEW_SSL), older=(OLD, "/nix/store/other"))
    return [
        ["looked", "7", "0"],
        ["loose", "1"],
        ["maps", "102", OLD_SSL],
        ["newer", OLD, NEW],
        ["newer", OLD_SSL, NEW_SSL],
        ["old", OLD],
        ["old", OLD_SSL],
        ["older", OLD],
        ["process", "100", "web.service", "1700000005", "here", f"{OLD}/bin/web", "-", "1"],
        ["process", "102", "maps.service", "1700000005", "here", f"{LIBC}/bin/db", "-", "1"],
        ["process", "103", "tick.service", "1700000005", "here", SHELL, f"{OLD}/bin/tick", "0"],
        ["process", "112", f"{UID}/old.service", "1700000005", "here", f"{OLD}/bin/web", "-", "1"],
        ["unit", f"{UID}/old.service", f"{OLD}/bin/web", "-", "-"],
        ["unit", "maps.service", f"{LIBC}/bin/db", "loaded", f"{LIBC}/bin/db"],
        ["unit", "tick.service", SHELL, "loaded", f"{NEW}/bin/tick"],
        ["unit", "web.service", f"{OLD}/bin/web", "loaded", f"{NEW}/bin/web"],
    ]


def test_a_look_tells_exactly_what_is_old(machine: Machine) -> None:
    said = fill(machine)
    assert machine.look() == sorted(said)


AWKS: Final = [
    pytest.param(awk, marks=pytest.mark.needs(awk.split()[0]), id=awk)
    for awk in ("mawk", "gawk", "busybox awk")
]


@one_shell
@pytest.mark.parametrize("awk", AWKS)
def test_every_awk_says_the_same(machine: Machine, awk: str) -> None:
    said = fill(machine)
    machine.host.on("awk", f'exec {awk} "$@"')
    assert machine.look() == sorted(said)


@one_shell
@pytest.mark.parametrize(
    "group",
    [
        "/system.slice/system-web.slice/web@1.service",
        "/system.slice/_web@1.service",
        "/system.slice/web@1.service/payload/deeper",
        "12:cpu,cpuacct:/\n1:name=systemd:/system.slice/web@1.service\n0::/\n",
        "1:name=systemd:/\n0::/system.slice/web@1.service\n",
    ],
)
def test_the_cgroup_says_the_unit(machine: Machine, group: str) -> None:
    """An instance, an escaped name, a delegated group, cgroups of the first version."""
    own = group.partition("/payload")[0]
    if ":" in group:
        own = "/system.slice/web@1.service"
    machine.unit("web@1.service", 100, group=own)
    machine.process(100, group, f"{OLD}/bin/web")
    assert keys(machine.look()) == ["web@1.service"]


@one_shell
def test_a_service_counts_and_not_its_socket(machine: Machine) -> None:
    machine.blocks.append("ControlGroup=\nId=web.socket\nLoadState=loaded")
    machine.unit("web.service", 100, f"{NEW}/bin/web", "TriggeredBy=web.socket")
    machine.process(100, WEB, f"{OLD}/bin/web")
    assert keys(machine.look()) == ["web.service"]


@one_shell
def test_systemd_itself_is_looked_at(machine: Machine) -> None:
    machine.unit(f"user@{UID}.service", 110, "/x", group=USERS)
    machine.process(1, "/init.scope", f"{OLD}/lib/systemd/systemd")
    machine.process(110, f"{USERS}/init.scope", f"{OLD}/lib/systemd/systemd")
    lines = machine.look()
    program = f"{OLD}/lib/systemd/systemd"
    assert of(lines, "unit") == [
        ["unit", "systemd", program, "-", "-"],
        ["unit", f"user@{UID}.service", program, "loaded", "/x"],
    ]


@one_shell
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("_cpu.service", "cpu.service"),
        (r"dev-x\x2dy.mount", r"dev-x\x2dy.mount"),
        ("run-1.scope", None),
        ("lxc.payload", None),
        ("x;reboot.service", None),
        ("x$(reboot).service", None),
        ("a\tb.service", None),
        ("\x1b[2J.service", None),
    ],
)
def test_a_users_cgroup_is_a_unit_only_if_its_name_is_one(
    machine: Machine, name: str, found: str | None
) -> None:
    machine.home()
    machine.unit(f"user@{UID}.service", 110, "/x", group=USERS)
    machine.process(100, f"{USERS}/app.slice/app-a.slice/{name}", f"{OLD}/bin/web")
    lines = machine.look()
    assert keys(lines) == ([f"{UID}/{found}"] if found else [])
    assert of(lines, "loose") == ([] if found else [["loose", "1"]])


@one_shell
def test_a_users_unit_is_told_by_its_file(machine: Machine) -> None:
    machine.home()
    unit = f"{path('hm-files', 'k')}/play@.service"
    machine.host.put(unit, f"[Service]\nExecStart={NEW}/bin/web --all\nX-SwitchMethod=keep-old\n")
    folder = machine.host.root / "home/ops/.config/systemd/user"
    folder.mkdir(parents=True)
    (folder / "play@.service").symlink_to(f"{machine.host.root}{unit}")
    # a file of the user outside the store is not read
    (folder / "mine.service").write_text(f"[Service]\nExecStart={NEW}/bin/web\n")
    machine.unit(f"user@{UID}.service", 110, "/x", group=USERS)
    machine.process(100, f"{USERS}/app.slice/play@1.service", f"{OLD}/bin/web")
    machine.process(101, f"{USERS}/app.slice/mine.service", f"{OLD}/bin/web")
    assert [line[1:] for line in of(machine.look(), "unit")] == [
        [f"{UID}/mine.service", "-", "-", "-"],
        [f"{UID}/play@1.service", "-", "no-restart", f"{NEW}/bin/web"],
    ]


@one_shell
def test_the_main_process_of_a_users_unit_is_what_the_manager_started_first(
    machine: Machine,
) -> None:
    machine.home()
    machine.unit(f"user@{UID}.service", 110, "/x", group=USERS)
    machine.process(110, f"{USERS}/init.scope", f"{LIBC}/bin/systemd")
    group = f"{USERS}/app.slice/play.service"
    machine.process(100, group, f"{OLD}/bin/web", parent=110)
    machine.process(101, group, f"{OLD_SSL}/bin/child", parent=100)
    later = machine.process(99, group, f"{OLD_SSL}/bin/later", parent=110)
    (later / "stat").write_text((later / "stat").read_text().replace(" 500 ", " 900 "))
    ((_, _, main, *_),) = of(machine.look(), "unit")
    assert main == f"{OLD}/bin/web"


@one_shell
def test_what_systemd_and_the_units_file_say_of_a_switch(machine: Machine) -> None:
    machine.host.put("/etc/systemd/system/a.service", "[Service]\nX-RestartIfChanged=false\n")
    machine.host.put("/etc/systemd/system/a.service.d/o.conf", "[Unit]\nX-ReloadIfChanged=true\n")
    files = (
        "FragmentPath=/etc/systemd/system/a.service",
        "DropInPaths=/etc/systemd/system/a.service.d/o.conf",
    )
    machine.unit("a.service", 100, f"{NEW}/bin/web", *files, "RefuseManualStop=yes")
    task = ("Type=oneshot", "ActiveState=activating", "Transient=yes")
    machine.unit("b.service", 101, f"{NEW}/bin/web", *task)
    machine.unit("c.service", 102, f"{NEW}/bin/web", "Type=oneshot", "ActiveState=active")
    for pid, name in ((100, "a"), (101, "b"), (102, "c")):
        machine.process(pid, f"/system.slice/{name}.service", f"{OLD}/bin/web")
    assert [line[3] for line in of(machine.look(), "unit")] == [
        "loaded refuses-stop no-restart reload-only",
        "loaded task transient",
        "loaded",
    ]


@one_shell
@pytest.mark.parametrize("text", ["first\nsecond", "first\n\nsecond", "first\nControlGroup=/x"])
def test_a_command_of_several_lines_does_not_hide_its_unit(machine: Machine, text: str) -> None:
    machine.blocks.append(
        f"MainPID=100\nExecStart={{ path={NEW}/bin/web ; argv[]=sh -c {text} ; }}\n"
        f"ControlGroup={WEB}\nId=web.service\nLoadState=loaded"
    )
    machine.process(100, WEB, f"{OLD}/bin/web")
    assert of(machine.look(), "unit") == [
        ["unit", "web.service", f"{OLD}/bin/web", "loaded", f"{NEW}/bin/web"]
    ]


# Scripts.


@one_shell
@pytest.mark.parametrize(
    ("exe", "words", "file", "text", "is_script"),
    [
        (SHELL, "-e {}", f"{OLD}/bin/x", f"#!{SHELL} -e", True),
        (SHELL, "{}", OLD, f"#!{SHELL}", True),
        (SHELL, "{}", OLD, f"#! {SHELL}", True),
        (SHELL, "{}", OLD, "listen 80", False),
        (SHELL, "-c {}", OLD, "listen 80", False),
        (SHELL, "--config {}", f"{OLD}/etc/web.conf", "listen 80", False),
        (SHELL, "serve {}", f"{OLD}/bin/x", f"#!{SHELL}", False),
        (f"{LIBC}/bin/unshare", "{}", f"{OLD}/bin/x", f"#!{SHELL}", False),
        (f"{LIBC}/bin/unshare", "{}", f"{OLD}/bin/x", "\x7fELF\0\0", False),
        (f"{LIBC}/bin/python3.12", "{}", f"{OLD}/bin/x", "#!/usr/bin/env python3", True),
        (f"{LIBC}/bin/.python3-wrapped", "{}", f"{OLD}/bin/x", "#!/usr/bin/env -S python -u", True),
        (f"{LIBC}/bin/perl", "{}", f"{OLD}/bin/x", "#!/usr/bin/env python3", False),
        (f"{LIBC}/bin/java", "-jar {}", f"{OLD}/share/x.jar", "PK\3\4", True),
        ("/usr/bin/dash", "{}", OLD, "#!/bin/sh", True),
        ("/usr/bin/python3", "{}", f"{OLD}/bin/x", "#!/usr/bin/env python3", True),
        ("/usr/bin/perl", "{}", OLD, "#!/bin/sh", False),
        (SHELL, "{}", f"{OLD}/bin/x", None, True),  # deleted
        (SHELL, "{}", OLD, None, False),
    ],
)
def test_what_counts_as_a_script(
    machine: Machine, exe: str, words: str, file: str, text: str | None, is_script: bool
) -> None:
    if text is not None:
        machine.host.put(file, text)
    machine.unit("web.service", 100)
    folder = machine.process(100, WEB, exe, words=f"{exe} {words.format(file)} more")
    if exe.startswith("/usr"):
        (folder / "exe").symlink_to(machine.host.put(exe))
        (machine.host.root / "bin").mkdir()
        (machine.host.root / "bin/sh").symlink_to(f"{machine.host.root}/usr/bin/dash")
    lines = machine.look()
    assert [line[6] for line in of(lines, "process")] in ([file if is_script else "-"], [])
    assert bool(of(lines, "process")) or not is_script


@one_shell
def test_a_large_file_without_lines_is_not_read_whole(machine: Machine) -> None:
    file = machine.host.root / OLD[1:]
    machine.host.put(OLD, "")
    with file.open("r+b") as image:
        image.truncate(1 << 32)
    machine.unit("vm.service", 100)
    machine.process(100, "/system.slice/vm.service", f"{LIBC}/bin/vm", words=f"x -disk {OLD}")
    assert [line[6] for line in of(machine.look(), "process")] == ["-"]


# What is apart.


def container(machine: Machine, folder: Path, *, store: bool = True) -> Path:
    root = folder / "of its own"
    (root / "nix/store" if store else root).mkdir(parents=True)
    return root


@one_shell
@pytest.mark.parametrize("gone", [False, True])
def test_a_container_is_apart(machine: Machine, tmp_path: Path, gone: bool) -> None:
    """One with a store of its own, and one that shares ours."""
    own = container(machine, tmp_path)
    sharing = tmp_path / "sharing"
    (sharing / "nix").mkdir(parents=True)
    (sharing / "nix/store").symlink_to(machine.host.root / "nix/store")
    machine.host.put(f"{OLD}/bin/web")
    for pid, root in ((100, own), (101, sharing)):
        machine.unit(f"container@{pid}.service", pid)
        machine.process(pid, f"/system.slice/container@{pid}.service", f"{OLD}/bin/web", gone=gone)
        machine.in_root(pid, root, alone=True)
    assert [line[4] for line in of(machine.look(), "process")] == ["apart", "apart"]


@one_shell
def test_another_store_in_our_own_process_ids_is_apart(machine: Machine, tmp_path: Path) -> None:
    machine.unit("web.service", 100)
    machine.process(100, WEB, f"{OLD}/bin/web")
    machine.host.put(f"{OLD}/bin/web")
    machine.in_root(100, container(machine, tmp_path))
    assert [line[4] for line in of(machine.look(), "process")] == ["apart"]


@one_shell
@pytest.mark.parametrize(
    "case", ["confined", "chrooted", "own ids", "own ids, chrooted", "deleted"]
)
def test_a_service_that_shuts_itself_in_is_no_container(
    machine: Machine, tmp_path: Path, case: str
) -> None:
    root = container(machine, tmp_path, store=case in ("confined", "deleted"))
    machine.unit("web.service", 100)
    machine.process(100, WEB, f"{OLD}/bin/web", gone=case == "deleted")
    program = machine.host.root / f"{OLD}/bin/web"[1:]
    if case != "deleted":
        machine.host.put(f"{OLD}/bin/web")
    if case == "confined":
        inside = root / f"{OLD}/bin/web"[1:]
        inside.parent.mkdir(parents=True)
        inside.hardlink_to(program)
    if case == "own ids":
        root = machine.host.root
    machine.in_root(100, root, alone=case.startswith("own ids"))
    state = "gone" if case == "deleted" else "here"
    assert [line[4] for line in of(machine.look(), "process")] == [state]


@one_shell
def test_a_deleted_program_is_old_and_a_replaced_file_of_the_closure_is_not(
    machine: Machine,
) -> None:
    """nix-store --optimise replaces files by others that are equal."""
    machine.unit("web.service", 100)
    machine.unit("db.service", 101)
    machine.unit("maps.service", 102)
    machine.process(100, WEB, f"{OLD}/bin/web", gone=True)
    machine.process(101, "/system.slice/db.service", f"{LIBC}/bin/db", gone=True)
    lib = f"{OLD_SSL}/lib/libssl.so"
    machine.process(102, "/system.slice/maps.service", f"{LIBC}/bin/db", lib, gone=True)
    machine.home(OF_HOME)
    machine.unit(f"user@{UID}.service", 110, "/x", group=USERS)
    machine.process(103, f"{USERS}/app.slice/a.service", f"{OF_HOME}/bin/a", lib, gone=True)
    assert [line[2:6] for line in of(machine.look(), "process")] == [
        ["web.service", "1700000005", "gone", f"{OLD}/bin/web"],
        ["maps.service", "1700000005", "here", f"{LIBC}/bin/db"],
        [f"{UID}/a.service", "1700000005", "here", f"{OF_HOME}/bin/a"],
    ]


# What is not seen.


@one_shell
def test_what_only_root_may_look_at_is_counted_and_not_guessed(machine: Machine) -> None:
    machine.host.put(f"{OLD}/bin/x", f"#!{SHELL}")
    machine.unit("web.service", 100)
    machine.process(100, WEB, f"{OLD}/bin/web", code=1)
    machine.process(101, WEB, SHELL, code=1, words=f"{SHELL} {OLD}/bin/x")
    assert machine.look() == [["looked", "0", "2"]]


@one_shell
def test_kernel_threads_zombies_and_processes_that_end_are_no_debt(machine: Machine) -> None:
    machine.unit("web.service", 100)
    machine.process(2, "/", "", code=0)
    machine.process(100, WEB, f"{OLD}/bin/web", code=0)
    for pid, missing in ((101, ("stat", "maps")), (102, ("maps",))):
        folder = machine.process(pid, WEB, f"{OLD}/bin/web")
        for name in missing:
            (folder / name).unlink()
    machine.host.put(f"{OLD}/bin/x", f"#!{SHELL}")
    machine.says(f"103 0 {SHELL} {OLD}/bin/x")
    assert machine.look() == [["looked", "1", "0"]]


HOSTILE: Final = {
    "a folder called so": "/tmp/x {}/lib/y",
    "a name of memory": "[anon:x {}/lib/y]",
    "not a store path": "/nix/store/short/lib/y",
    "a name in no alphabet": f"/nix/store/{'a' * 32}-x\ty/lib",
    "not in the store": "/var/nix/store/{}",
}


@one_shell
@pytest.mark.parametrize("mapped", HOSTILE.values(), ids=HOSTILE)
def test_a_text_that_only_looks_like_a_store_file_is_none(machine: Machine, mapped: str) -> None:
    machine.unit("web.service", 100)
    machine.process(100, WEB, f"{LIBC}/bin/db", mapped.format(f"{machine.host.root}{OLD}"))
    assert machine.look() == [["looked", "1", "0"]]


@one_shell
def test_control_bytes_of_a_path_do_not_reach_the_answer(machine: Machine) -> None:
    machine.unit("web.service", 100)
    machine.process(100, WEB, f"{OLD}/bin/w\t\x1b[2Jb", words="x\ty \x1b]0;")
    ((*_, exe, script, mapped),) = of(machine.look(), "process")
    assert (exe, script, mapped) == (f"{OLD}/bin/w??[2Jb", "-", "1")


@one_shell
@pytest.mark.parametrize(
    ("tool", "script", "failed"),
    [
        ("nix-store", "exit 1", "closure"),
        ("nix-store", f'echo {NEW}; cat "$s/requisites" | head -n 1; exit 1', "closure"),
        ("systemctl", 'case "$*" in *.mount*) exit 1 ;; *) default "$@" ;; esac', "units"),
        ("ps", "exit 127", "processes"),
    ],
)
def test_a_look_that_cannot_see_says_so_and_nothing_else(
    machine: Machine, tool: str, script: str, failed: str
) -> None:
    fill(machine)
    machine.prepare()
    machine.host.on(tool, script)
    lines = [line.split("\t") for line in machine.ask().splitlines()]
    assert ["failed", failed] in lines
    assert not of(lines, "unit", "process", "old", "looked")


@one_shell
def test_a_proc_that_cannot_be_read_is_no_answer(machine: Machine) -> None:
    machine.says("100 0 x")
    machine.prepare()
    shutil.rmtree(machine.host.root / "proc")
    assert machine.ask() == "failed\tprocesses"


@one_shell
def test_without_a_generation_there_is_nothing_to_compare_with(machine: Machine) -> None:
    (machine.host.root / "run/current-system").unlink()
    fill(machine)
    lines = machine.look()
    assert of(lines, "failed", "unit") == [["failed", "closure"]]


@one_shell
def test_without_the_homes_only_users_units_are_missing(machine: Machine) -> None:
    fill(machine)
    nix = """case "$*" in *-link*) ;; *home-man*) exit 1 ;; *) cat "$s/requisites" ;; esac"""
    machine.host.on("nix-store", nix)
    lines = machine.look()
    assert of(lines, "failed") == [["failed", "homes"]]
    assert keys(lines) == ["maps.service", "tick.service", "web.service"]


@one_shell
def test_older_generations_that_nix_does_not_tell_are_said_to_be_missing(machine: Machine) -> None:
    fill(machine)
    script = 'case "$*" in *-link*) exit 1 ;; *) cat "$s/requisites" ;; esac'
    machine.host.on("nix-store", script)
    assert of(machine.look(), "failed", "older") == [["failed", "older"]]


# A home, a boot, a job.


@one_shell
def test_a_home_asks_the_users_own_systemd(machine: Machine) -> None:
    group = f"{USERS}/app.slice"
    machine.home(OF_HOME)
    (machine.host.root / "run/current-system").unlink()
    machine.nix(home=(HOME, OF_HOME, *CLOSURE))
    machine.unit("play.service", 100, group=f"{group}/play.service")
    machine.process(100, f"{group}/play.service", f"{OLD}/bin/web")
    machine.unit("new.service", 101, group=f"{group}/new.service")
    machine.process(101, f"{group}/new.service", f"{OF_HOME}/bin/play")
    machine.process(102, "/system.slice/sshd.service", f"{OLD}/bin/web")
    machine.process(1, "/init.scope", "/usr/lib/systemd", code=1)
    lines = machine.look(NF_PLATFORM_GIVEN="home-manager")
    assert of(lines, "unit") == [
        ["unit", f"{UID}/play.service", f"{OLD}/bin/web", "loaded", f"{NEW}/bin/web"]
    ]
    assert of(lines, "loose", "looked") == [["looked", "2", "0"], ["loose", "1"]]
    assert machine.host.calls("systemctl --user show")


@one_shell
def test_what_waits_for_a_boot(machine: Machine) -> None:
    root = machine.host.root
    kernels = {name: path(f"linux-{name}", name[-1]) for name in ("6.1", "6.2")}
    for kernel in kernels.values():
        machine.host.put(f"{kernel}/bzImage")
    (root / "run/booted-system").mkdir()
    for system, kernel in ((root / "run/booted-system", "6.1"), (root / NOW[1:], "6.2")):
        (system / "kernel").symlink_to(f"{root}{kernels[kernel]}/bzImage")
        (system / "initrd").symlink_to(f"{root}{kernels['6.2']}/bzImage")
    machine.process(2, "/", "", code=0)
    assert of(machine.look(), "boot") == [
        ["boot", "kernel", f"{kernels['6.1']}/bzImage", f"{kernels['6.2']}/bzImage"]
    ]
    (root / "run/booted-system/kernel").unlink()
    assert of(machine.look(), "boot") == []


LOOK: Final = {
    "NF_PLATFORM_GIVEN": "nixos",
    "NF_CHECKOUT": CHECKOUT,
    "NF_INPUT": "nixfleet",
    "NF_ATTRIBUTE": "",
    "NF_DEEP": "",
    "NF_CHOSEN": "",
    "NF_EVALUATION": "300",
    "NF_NIX_STAMP": "",
}


@one_shell
def test_nothing_is_looked_at_while_a_job_runs(machine: Machine) -> None:
    """Neither by `nixfleet debt`, nor by a verification."""
    fill(machine)
    machine.prepare()
    host = machine.host
    verify = question("probe_whole", str(host.root), LOOK)
    assert "debt" in read_records(host.send(verify).stdout)
    host.let_live("nixfleet-job.service")
    host.run_state.mkdir(parents=True, exist_ok=True)
    (host.run_state / "current").write_text(f"{JOB}\n")
    (host.state / "calls").unlink()
    said = read_records(host.ask("debt").stdout)
    assert ("debt" in said, said["job.running"]) == (False, JOB)
    assert "debt" not in read_records(host.send(verify).stdout)
    assert not host.calls("nix-store")
    # it has its result, and its unit is about to end
    host.job.mkdir(parents=True, exist_ok=True)
    (host.job / "result").write_text("{}")
    assert "debt" in read_records(host.ask("debt").stdout)
    assert "debt" in read_records(host.send(verify).stdout)


@one_shell
def test_a_look_that_nobody_waits_for_does_not_hold_the_script(machine: Machine) -> None:
    assert "nf_debt_look" not in question("probe", "", LOOK)
    assert "nf_debt_look" not in question("doctor", "", LOOK)


# What it costs.


@one_shell
@pytest.mark.parametrize("old", [False, True])
def test_a_look_asks_each_tool_once(machine: Machine, old: bool) -> None:
    for number in range(100, 160):
        machine.unit(f"a{number}.service", number)
        exe = f"{OLD}/bin/web" if old else f"{NEW}/bin/web"
        machine.process(number, f"/system.slice/a{number}.service", exe, f"{LIBC}/lib/libc.so.6")
    for tool in ("grep", "awk"):
        machine.host.on(tool, f'exec {shutil.which(tool)} "$@"')
    lines = machine.look()
    assert len(of(lines, "unit")) == (60 if old else 0)
    calls = machine.host.calls
    assert len(calls("systemctl show")) == 1
    assert len(calls("grep -HaE")) == 1
    assert len(calls("ps -A")) == 1
    assert len(calls("awk -v store")) == 1
    assert len(calls("nix-store")) == (2 if old else 1)


@one_shell
def test_an_answer_that_is_too_long_ends_with_a_whole_line_and_says_so(machine: Machine) -> None:
    for number in range(100, 140):
        machine.unit(f"a{number}.service", number)
        machine.process(number, f"/system.slice/a{number}.service", f"{OLD}/bin/web")
    machine.prepare()
    script = machine.host.script("debt")
    assert script.count("NF_DEBT_LIMIT=1000000") == 1
    whole = machine.ask().splitlines()
    done = machine.host.send(script.replace("NF_DEBT_LIMIT=1000000", "NF_DEBT_LIMIT=3000"))
    said = read_records(done.stdout)["debt"]
    *lines, last = said.splitlines()
    assert last == "failed\tcut"
    assert 2500 < len(said) <= 3000
    assert set(lines) < set(whole)


@one_shell
def test_a_job_looks_once_and_at_its_end(machine: Machine) -> None:
    machine.unit("web.service", 100)
    machine.process(100, WEB, f"{OLD}/bin/web")
    host = machine.host
    host.set("units", "\n\n".join(machine.blocks))
    (host.root / "proc/stat").write_text("btime 1700000000\n")
    host.on("systemctl", 'case "$*" in *.mount*) cat "$s/units" ;; *) default "$@" ;; esac')
    host.on("grep", f'exec {shutil.which("grep")} "$@"')
    host.run_job()
    looks = {name: read_records((host.job / name).read_bytes()) for name in ("before", "after")}
    assert "debt" not in looks["before"]
    assert "web.service" in looks["after"]["debt"]
    assert len(host.calls("systemctl show *.service")) == len(host.calls("grep -HaE")) == 1


@one_shell
def test_the_kernels_own_words_are_understood(plain_host: FakeHost) -> None:
    """Real processes: a program, one that is deleted, and a script in an interpreter."""
    host = plain_host
    host.set("requisites", "\n".join(CLOSURE))
    machine = Machine(host)
    machine.nix(older=[OLD])
    machine.prepare()
    host.on("ps", f'exec {shutil.which("ps")} "$@"')
    shutil.rmtree(host.root / "proc")
    (host.root / "proc").symlink_to("/proc")
    for file in (f"{OLD}/bin/a ) b", f"{OLD}/bin/gone", SHELL):
        host.put(file, Path(shutil.which("dash") or "").read_bytes())
    script = host.put(f"{OLD}/bin/tick", f"#!{SHELL}\nread line\n")
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    named = [line for line in groups if line.startswith(("0:", "1:name=systemd:"))]
    group = next((at for line in named if (at := line.split(":", 2)[2]) != "/"), "/")
    argvs = (
        [f"{host.root}{OLD}/bin/a ) b", "-c", "read line"],
        [f"{host.root}{OLD}/bin/gone", "-c", "read line"],
        [f"{host.root}{SHELL}", script],
    )
    running = [subprocess.Popen(argv, stdin=subprocess.PIPE) for argv in argvs]
    try:
        (host.root / f"{OLD}/bin/gone"[1:]).unlink()
        machine.unit("web.service", running[0].pid, group=group)
        host.set("units", "\n\n".join(machine.blocks))
        lines = [line.split("\t") for line in machine.ask().splitlines()]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    ours = {str(process.pid) for process in running}
    told = sorted(line[4:] for line in of(lines, "process") if line[1] in ours)
    assert told == [
        ["gone", f"{OLD}/bin/gone", "-", "1"],
        ["here", f"{OLD}/bin/a ) b", "-", "1"],
        ["here", SHELL, f"{OLD}/bin/tick", "0"],
    ]
    now = time.time()
    assert all(abs(int(line[3]) - now) < 100 for line in of(lines, "process") if line[1] in ours)
    assert ["unit", "web.service", f"{OLD}/bin/a ) b", "loaded", f"{NEW}/bin/web"] in lines


@one_shell
def test_another_users_home_pays_no_debt(machine: Machine) -> None:
    machine.home()
    machine.nix(home=(HOME, OF_HOME, OLD))
    for uid in (UID, UID + 7):
        group = f"/user.slice/user-{uid}.slice/user@{uid}.service"
        machine.unit(f"user@{uid}.service", uid + 500, "/x", group=group)
        machine.process(uid + 100, f"{group}/app.slice/web.service", f"{OLD}/bin/web")
    (machine.host.root / f"run/user/{UID + 7}").mkdir()
    assert keys(machine.look()) == [f"{UID + 7}/web.service"]


@one_shell
def test_a_newer_path_is_told_only_if_it_is_the_one(machine: Machine) -> None:
    two = (path("web-3.0", "k"), path("web-4.0", "l"))
    machine.host.set("requisites", "\n".join((NOW, LIBC, *two)))
    machine.unit("web.service", 100)
    machine.process(100, WEB, f"{OLD}/bin/web")
    assert of(machine.look(), "newer") == []
