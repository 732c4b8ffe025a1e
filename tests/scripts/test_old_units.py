"""Which units run programs of an older system: a real run of the look over a /proc of files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from fake_host import SYSTEMS, FakeHost

from nixfleet_core.facts.parse import read_records

if TYPE_CHECKING:
    from collections.abc import Iterable

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

NOW: Final = SYSTEMS["1.0"]
START: Final = 0x55D0_0000_1000


def path(name: str, letter: str) -> str:
    """A store path; the letter tells which."""
    return f"/nix/store/{letter * 32}-{name}"


OLD: Final = path("web-1.0", "a")
NEW: Final = path("web-2.0", "b")
LIBC: Final = path("glibc-2.40-66", "c")
OLD_SSL: Final = path("openssl-3.0.13-lib", "d")
NEW_SSL: Final = path("openssl-3.0.14-lib", "f")
BASH: Final = path("bash-5.2", "g")
CLOSURE: Final = (NOW, NEW, LIBC, NEW_SSL, BASH, path("openssl-3.0.14-bin", "h"))


@dataclass
class Machine:
    """A host with processes and the units that they belong to."""

    host: FakeHost
    blocks: list[str] = field(default_factory=list)

    def unit(self, name: str, pid: int, starts: str = f"{NEW}/bin/web", *more: str) -> None:
        self.blocks.append(
            "\n".join(
                (
                    f"MainPID={pid}",
                    f"ExecStart={{ path={starts} ; argv[]={starts} --serve ; ignore_errors=no }}",
                    f"ControlGroup=/system.slice/{name}",
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
        may_look: bool = True,
    ) -> None:
        root, folder = self.host.root, self.host.root / f"proc/{pid}"
        folder.mkdir()
        (folder / "cgroup").write_text(f"0::{group}\n")
        code = START + 0x100 if may_look else 1
        fields = ["S", "1", *["0"] * 17, "500", "0", "0", "0", str(code), "0"]
        (folder / "stat").write_text(
            f"{pid} (a) b) {' '.join(fields[:19])} {' '.join(fields[19:])}\n"
        )
        lines = [
            f"{START - 0x1000:x}-{START:x} r--p 00000000 00:1f 77     {root}{exe}",
            f"{START:x}-{START + 0x1000:x} r-xp 00001000 00:1f 77     {root}{exe}",
            "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ",
            *(
                f"7f000000100{n:x}-7f0000001fff r-xp 0 00:1f 78   {root}{file}"
                for n, file in enumerate(mapped)
            ),
        ]
        (folder / "maps").write_text("".join(f"{line}\n" for line in lines) if may_look else "")
        listed = self.host.state / "ps"
        line = f"{pid} 0 {words or exe}\n"
        listed.write_text((listed.read_text() if listed.exists() else "") + line)

    def look(self) -> list[list[str]]:
        """The lines of the answer, sorted, without those of the counts."""
        host = self.host
        (host.root / "proc/stat").write_text("cpu 1 2\nbtime 1700000000\n")
        host.on("ps", 'cat "$s/ps"')
        host.set("units", "\n\n".join(self.blocks))
        host.on("systemctl", 'case "$*" in *.mount*) cat "$s/units" ;; *) default "$@" ;; esac')
        done = host.ask("debt")
        assert (done.returncode, done.stderr) == (0, b"")
        said = read_records(done.stdout)["debt"]
        return sorted(line.split("\t") for line in said.splitlines())


@pytest.fixture
def machine(host: FakeHost) -> Machine:
    host.set("requisites", "\n".join(CLOSURE))
    return Machine(host)


def of(lines: Iterable[list[str]], *kinds: str) -> list[list[str]]:
    return [line for line in lines if line[0] in kinds]


def test_a_unit_with_an_old_program(machine: Machine) -> None:
    machine.unit("web.service", 100)
    machine.process(100, "/system.slice/web.service", f"{OLD}/bin/web", f"{LIBC}/lib/libc.so.6")
    machine.unit("db.service", 101, f"{LIBC}/bin/db")
    machine.process(101, "/system.slice/db.service", f"{LIBC}/bin/db", f"{LIBC}/lib/libc.so.6")
    assert machine.look() == [
        ["looked", "2", "0"],
        ["newer", OLD, NEW],
        ["old", OLD],
        ["process", "100", "web.service", "1700000005", "here", f"{OLD}/bin/web", "-", "1"],
        ["unit", "web.service", f"{OLD}/bin/web", "loaded", f"{NEW}/bin/web"],
    ]
