from __future__ import annotations

import platform
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.host import Host, SshAddress
from nixfleet_core.inventory import (
    InventoryError,
    UnknownHostError,
    default_inventory_path,
    load_inventory,
    select,
    this_machine,
)

DESIGNED = """\
[defaults]
checkout = "~/nixcfg"
input    = "fleet"
forges   = ["Git.Example.org", "github.com:443", "[2001:db8::1]:8443", "github.com"]
[hosts.csb0]
ssh  = "ops@cs0.example.org:2222"
tags = ["cloud"]
[hosts.imac0]
ssh       = "markus@imac0"
platform  = "home-manager"
attribute = "markus@imac0"
checkout  = "/var/lib/nixfleet-agent/repo"
input     = "nixfleet"
[hosts.here]
local = true
hold  = true
"""

FORGES = ("git.example.org", "github.com", "[2001:db8::1]:8443")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def write(folder: Path, data: str | bytes) -> Path:
    path = folder / "hosts.toml"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_reads_every_key(tmp_path: Path) -> None:
    path = write(tmp_path, DESIGNED)
    inventory = load_inventory(path)
    assert inventory.path == path
    assert inventory.hosts == (
        Host(
            name="csb0",
            address=SshAddress(host="cs0.example.org", user="ops", port=2222),
            checkout="~/nixcfg",
            input="fleet",
            tags=("cloud",),
            forges=FORGES,
        ),
        Host(
            name="imac0",
            address=SshAddress(host="imac0", user="markus"),
            platform="home-manager",
            attribute="markus@imac0",
            checkout="/var/lib/nixfleet-agent/repo",
            input="nixfleet",
            forges=FORGES,
        ),
        Host(name="here", checkout="~/nixcfg", input="fleet", forges=FORGES, hold=True),
    )


@pytest.mark.parametrize(
    "text",
    [
        '[hosts.a]\nssh = "a"',
        'hosts.a.ssh = "a"',
        '[hosts]\na = { ssh = "a" }',
        '[hosts]\na.ssh = "a"',
        '[hosts."a"]\r\n"ssh" = \'a\'\r\n',
        '\ufeff[hosts.a]\nssh = "a"\nlocal = false\ntags = []',
    ],
)
def test_any_way_to_write_toml_is_good(tmp_path: Path, text: str) -> None:
    assert load_inventory(write(tmp_path, text)).hosts == (
        Host(name="a", address=SshAddress(host="a")),
    )


# What is wrong with the file: source, line, key, and what the message must say after them.
MISTAKES = {
    "forges is text": (
        '[defaults]\nforges = "git.example.org"',
        2,
        "defaults.forges",
        'must be a list, not text; write forges = ["github.com"]',
    ),
    "a forge is a number": (
        "[defaults]\nforges = [1]",
        2,
        "defaults.forges",
        "must be a list of texts, not a number",
    ),
    "a forge is a URL": (
        '[defaults]\nforges = ["https://git.example.org"]',
        2,
        "defaults.forges",
        "'https://git.example.org' is no server: write its name alone, such as 'git.example.org'",
    ),
    "a forge is a pattern": (
        '[defaults]\nforges = ["*"]',
        2,
        "defaults.forges",
        "'*' is no server",
    ),
    "a forge's port is no port": (
        '[defaults]\nforges = ["h:70000"]',
        2,
        "defaults.forges",
        "port 70000 in 'h:70000' is out of range",
    ),
    "forges of a host": (
        '[hosts.a]\nlocal = true\nforges = ["h"]',
        3,
        "hosts.a.forges",
        "unknown key",
    ),
    "ssh is a number": (
        "\n\n[hosts.a]\nssh = 3",
        4,
        "hosts.a.ssh",
        'must be text, not a number; write ssh = "user@host"',
    ),
    "ssh is true": (
        "[hosts.a]\nssh = true",
        2,
        "hosts.a.ssh",
        'must be text, not true or false; write ssh = "user@host"',
    ),
    "ssh is a date": ("[hosts.a]\nssh = 2026-01-01", 2, "hosts.a.ssh", "must be text, not a date"),
    "local is text": (
        '[hosts.a]\nlocal = "yes"',
        2,
        "hosts.a.local",
        "must be true or false, not text; write local = true",
    ),
    "platform is a list": (
        "[hosts.a]\nlocal = true\nplatform = []",
        3,
        "hosts.a.platform",
        "must be text, not a list",
    ),
    "attribute is a table": (
        "[hosts.a]\nlocal = true\n[hosts.a.attribute]",
        3,
        "hosts.a.attribute",
        "must be text, not a table",
    ),
    "hold is text": (
        '[hosts.a]\nlocal = true\nhold = "yes"',
        3,
        "hosts.a.hold",
        "must be true or false, not text; write hold = true",
    ),
    "tags is text": (
        '[hosts.a]\nlocal = true\ntags = "x"',
        3,
        "hosts.a.tags",
        'must be a list, not text; write tags = ["cloud"]',
    ),
    "a tag is a number": (
        '[hosts.a]\nlocal = true\ntags = [\n "x",\n 1]',
        3,
        "hosts.a.tags",
        "must be a list of texts, not a number",
    ),
    "a tag has a space": (
        '[hosts.a]\nlocal = true\ntags = ["a b"]',
        3,
        "hosts.a.tags",
        "'a b' is no tag",
    ),
    "a host is text": (
        '[hosts]\na = "ops@a"',
        2,
        "hosts.a",
        "must be a table, not text; write [hosts.a]",
    ),
    "hosts is a list": ("hosts = []", 1, "hosts", "must be a table, not a list; write [hosts]"),
    "hosts is an array of tables": (
        '[[hosts]]\nname = "a"',
        None,
        "hosts",
        "must be a table, not a list",
    ),
    "defaults is text": ('defaults = "x"', 1, "defaults", "must be a table, not text"),
    "a misspelt key": (
        '[hosts.a]\nshh = "a"',
        2,
        "hosts.a.shh",
        "unknown key; did you mean 'ssh'?",
    ),
    "an unheard-of key": (
        "[hosts.a]\nlocal = true\nzzz = 1",
        3,
        "hosts.a.zzz",
        "unknown key; known keys: ssh, local, ",
    ),
    "a misspelt default": (
        '[defaults]\nchekout = "/x"',
        2,
        "defaults.chekout",
        "unknown key; did you mean 'checkout'?",
    ),
    "a misspelt table": ('[host.a]\nssh = "a"', 1, "host", "unknown key; did you mean 'hosts'?"),
    "a host at the top": (
        '[csb0]\nssh = "a"',
        1,
        "csb0",
        "unknown key; write [hosts.csb0] for a host",
    ),
    "a key at the top": ("x = 1", 1, "x", "unknown key; there are only 'defaults' and 'hosts'"),
    "a host twice": (
        '[hosts.a]\nssh = "a"\n[hosts.b]\nssh = "b"\n[hosts.a]\nssh = "c"',
        5,
        "hosts.a",
        "is defined twice; remove one of them",
    ),
    "a key twice": (
        '[hosts.a]\nssh = "a"\nssh = "b"',
        3,
        "hosts.a.ssh",
        "is defined twice; remove one of them",
    ),
    "an address of an option": (
        '[hosts.a]\nssh = "-oProxyCommand=x"',
        2,
        "hosts.a.ssh",
        "'-oProxyCommand=x' is no ssh address: write it as user@host",
    ),
    "an address with a space": (
        '[hosts.a]\nssh = "ops@a b"',
        2,
        "hosts.a.ssh",
        "is no ssh address",
    ),
    "a port out of range": (
        '[hosts.a]\nssh = "a:99999"',
        2,
        "hosts.a.ssh",
        "port 99999 in 'a:99999' is out of range",
    ),
    "an empty address": ('[hosts.a]\nssh = ""', 2, "hosts.a.ssh", "'' is no ssh address"),
    "a name with a dash first": ("[hosts.-a]\nlocal = true", 1, "hosts.-a", "'-a' is no host name"),
    "a name that is a path": (
        '[hosts."../a"]\nlocal = true',
        1,
        'hosts."../a"',
        "'../a' is no host name",
    ),
    "an escape in a name": (
        '[hosts."a\\u001b[2J"]\nlocal = true',
        1,
        'hosts."a\\u001b[2J"',
        "is no host name",
    ),
    "an address as a name": ('[hosts."ops@a"]', 1, 'hosts."ops@a"', "put the address into ssh"),
    "both ssh and local": (
        '[hosts.a]\nssh = "a"\nlocal = true',
        1,
        "hosts.a",
        "has both ssh and local = true; keep one of them",
    ),
    "neither ssh nor local": (
        "[hosts.a]\n",
        1,
        "hosts.a",
        'has no address; write ssh = "user@host", or local = true',
    ),
    "not local": ("[hosts.a]\nlocal = false", 1, "hosts.a", "has no address"),
    "an unknown platform": (
        '[hosts.a]\nlocal = true\nplatform = "macos"',
        3,
        "hosts.a.platform",
        "'macos' is no platform; write 'nixos', or 'home-manager'",
    ),
    "a misspelt platform": (
        '[hosts.a]\nlocal = true\nplatform = "nixsos"',
        3,
        "hosts.a.platform",
        "did you mean 'nixos'?",
    ),
    "an attribute of shell": (
        '[hosts.a]\nlocal = true\nattribute = "$(x)"',
        3,
        "hosts.a.attribute",
        "'$(x)' cannot be a configuration's name",
    ),
    "a relative checkout": (
        '[hosts.a]\nlocal = true\ncheckout = "nixcfg"',
        3,
        "hosts.a.checkout",
        "'nixcfg' is no absolute path; write checkout",
    ),
    "a checkout with a newline": (
        '[hosts.a]\nlocal = true\ncheckout = "/a\\nb"',
        3,
        "hosts.a.checkout",
        "has a character that cannot be printed",
    ),
    "a default that is no path": (
        '[defaults]\ncheckout = ""\n[hosts.a]\nlocal = true',
        2,
        "defaults.checkout",
        "'' is no absolute path",
    ),
    "a default that is no input": (
        '[defaults]\ninput = "-x"\n[hosts.a]\nlocal = true',
        2,
        "defaults.input",
        "'-x' is no flake input",
    ),
    "an input of option": (
        '[hosts.a]\nlocal = true\ninput = "--x"',
        3,
        "hosts.a.input",
        "'--x' is no flake input",
    ),
    "no hosts": ("[defaults]\n", None, "hosts", "there is no host; write [hosts.NAME]"),
    "empty hosts": ("\n[hosts]\n", 2, "hosts", "there is no host"),
    "empty": ("", None, "hosts", "there is no host"),
    "no TOML": ("[hosts.a]\nssh = ops@a\n", 2, "", "is not TOML: invalid value"),
    "an open bracket": ("[hosts.a\nlocal = true", 1, "", "is not TOML"),
    "an open string": ('[hosts.a]\nssh = "a', 2, "", "is not TOML"),
    "not UTF-8": (b'[hosts.a]\nssh = "\xff"', 2, "", "is not UTF-8; save the file as UTF-8"),
    "binary": (b"\x00\x01", 1, "", "is not TOML"),
    "nested beyond measure": ("a = " + "[" * 5000, None, "", "is nested too deeply"),
    "giant": (b"#" * (1024 * 1024 + 1), None, "", "is larger than 1024 KiB"),
}


@pytest.mark.parametrize(("source", "line", "key", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, source: str | bytes, line: int | None, key: str, says: str
) -> None:
    path = write(tmp_path, source)
    with pytest.raises(InventoryError) as caught:
        load_inventory(path)
    where = f"{path}:{line}: " if line else f"{path}: "
    message = str(caught.value)
    assert (caught.value.line, caught.value.key) == (line, key)
    assert message.startswith(where + (f"{key}: " if key else ""))
    assert says in message
    assert message.isprintable()


def test_the_path_is_shown_with_a_tilde(home: Path) -> None:
    path = home / ".config" / "nixfleet" / "hosts.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[hosts.csb0]\nssh = 1\n")
    with pytest.raises(InventoryError) as caught:
        load_inventory(path)
    assert str(caught.value) == (
        "~/.config/nixfleet/hosts.toml:2: hosts.csb0.ssh: "
        'must be text, not a number; write ssh = "user@host"'
    )


def test_a_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="is a directory; name a file"):
        load_inventory(tmp_path)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InventoryError, match=r"cannot be read: .*symbolic link"):
        load_inventory(tmp_path / "loop")


def test_default_path(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_inventory_path() == home / ".config" / "nixfleet" / "hosts.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/xdg")
    assert default_inventory_path() == Path("/xdg/nixfleet/hosts.toml")


def test_the_inventory_without_a_file_is_this_machine(home: Path) -> None:
    inventory = load_inventory(default_inventory_path())
    assert inventory.path is None
    assert inventory.hosts == (this_machine(),)
    assert inventory.hosts[0].where == "local"


def test_a_file_that_was_named_must_be_there(home: Path) -> None:
    with pytest.raises(InventoryError, match="there is no such file"):
        load_inventory(home / "other.toml")


@pytest.mark.parametrize(
    ("node", "name"),
    [("imac0.lan", "imac0"), ("csb0", "csb0"), ("-x y/z", "x-y-z"), ("", "localhost")],
)
def test_this_machines_name_is_short_and_safe(
    monkeypatch: pytest.MonkeyPatch, node: str, name: str
) -> None:
    monkeypatch.setattr(platform, "node", lambda: node)
    assert this_machine() == Host(name=name)


FLEET = (Host(name="csb0"), Host(name="csb1"), Host(name="imac0"))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [([], ["csb0", "csb1", "imac0"]), (["imac0", "csb0", "imac0"], ["csb0", "imac0"])],
)
def test_select(names: list[str], chosen: list[str]) -> None:
    assert [host.name for host in select(FLEET, names)] == chosen


@pytest.mark.parametrize(
    ("hosts", "name", "says"),
    [
        (FLEET, "csb9", "no host 'csb9'; did you mean 'csb1'?; hosts: csb0, csb1, imac0"),
        (FLEET, "\x1b[2J", "no host '\\x1b[2J'; hosts: csb0, csb1, imac0"),
        ((), "csb0", "no host 'csb0'; there are no hosts"),
    ],
)
def test_an_unknown_host_is_answered_with_those_there_are(
    hosts: tuple[Host, ...], name: str, says: str
) -> None:
    with pytest.raises(UnknownHostError) as caught:
        select(hosts, [name])
    assert str(caught.value) == says


@given(st.one_of(st.binary(max_size=80), st.text("[]hosts.a=\"'\n #{}1,-", max_size=60)))
def test_any_file_is_either_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes | str
) -> None:
    path = write(tmp_path_factory.getbasetemp(), data)
    said = ""
    try:
        load_inventory(path)
    except InventoryError as error:
        said = str(error)
    assert said.isprintable()


def test_forges_may_be_empty_and_are_four_by_default(tmp_path: Path) -> None:
    host = "[hosts.a]\nlocal = true\n"
    (none,) = load_inventory(write(tmp_path, f"[defaults]\nforges = []\n{host}")).hosts
    (usual,) = load_inventory(write(tmp_path, host)).hosts
    assert none.forges == ()
    assert usual.forges == ("github.com", "gitlab.com", "git.sr.ht", "codeberg.org")
