"""Records hold any text: their readers, here and on the host, go by their lengths."""

from __future__ import annotations

from typing import Final

import pytest
from fake_host import JOB, FakeHost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nixfleet_core.facts.generations import read_generations
from nixfleet_core.facts.parse import read_records
from nixfleet_core.scripts.compose import compose

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

IMITATIONS: Final = st.sampled_from(
    [
        "system.profile 14\n/nix/store/bad",
        "expected.path 5\n/evil",
        "end 0",
        "nixfleet-probe 1",
        "k0 3\nabc",
        "é漢🙂",
        "$(id) `id` '\" \\",
        "\udcff\udc80",
        "\x01\x1b[31m\x7f",
        "",
        " ",
        "\t",
    ]
)
TEXT: Final = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
    st.lists(IMITATIONS, max_size=5).map("\n".join),
)


def answer(host: FakeHost, values: list[str], locale: str) -> bytes:
    """The records that a host with that locale makes of these values."""
    names = [f"X_{number}" for number in range(len(values))]
    puts = "; ".join(f'put k{number} "${name}"' for number, name in enumerate(names))
    call = f"echo 'nixfleet-probe 1'; {puts}{';' if puts else ''} put last ok; printf 'end 0\\n'"
    text = compose(
        "records", root=str(host.root), call=call, values=dict(zip(names, values, strict=True))
    )
    return host.send(text, LANG=locale, LC_CTYPE=locale).stdout


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(TEXT, max_size=4))
def test_records_are_read_as_they_were_put(host: FakeHost, locale: str, values: list[str]) -> None:
    made = answer(host, values, locale)
    shown = [v.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for v in values]
    expected = {f"k{number}": value for number, value in enumerate(shown)} | {"last": "ok"}
    assert read_records(made) == expected
    file = host.root / "records"
    file.write_bytes(made)
    keys = [*expected, "system.profile", "expected.path"]
    asks = "; ".join(f'nf_record {key} <"$NF_ROOT/records" || echo none; echo ---' for key in keys)
    read = host.send(compose("records", root=str(host.root), call=asks), LANG=locale).stdout
    told = read.decode("utf-8", "replace").split("\n---\n")
    assert told == [*(expected[key] for key in expected), "none", "none", ""]


def test_a_long_value_is_read_whole(host: FakeHost) -> None:
    value = ("x y " * 10 + "\n") * 2_500
    made = answer(host, [value], "C")
    assert f"\nk0 {len(value)}\n{value}\n".encode() in made
    (host.root / "records").write_bytes(made)
    call = 'nf_record k0 <"$NF_ROOT/records"'
    read = host.send(compose("records", root=str(host.root), call=call)).stdout.decode()
    assert read == value + "\n"


@one_shell
@pytest.mark.parametrize(
    "records",
    [
        b"",
        b"hostname 1\nx\nsystem.profile 12\n/nix/store/x\nend 0\n",
        b"nixfleet-probe 1\nhostname 99\nx\nsystem.profile 12\n/nix/store/x\nend 0\n",
        b"nixfleet-probe 1\nhostname 1\nxx\nsystem.profile 12\n/nix/store/x\nend 0\n",
        b"nixfleet-probe 1\nhostname\nsystem.profile 12\n/nix/store/x\nend 0\n",
        b"nixfleet-probe 1\njournal 31\nsystem.profile 12\n/nix/store/x\nend 0\n",
        b"nixfleet-probe 1\nsystem.profile 17\n/nix/store/x /bad\nend 0\n",
        b"nixfleet-probe 1\nsystem.profile 16\n/nix/store/x\n@nf\nend 0\n",
    ],
)
def test_text_in_a_look_cannot_choose_the_system_of_a_rollback(
    host: FakeHost, records: bytes
) -> None:
    host.job.mkdir(parents=True)
    (host.job / "plan.json").write_text("{}")
    (host.job / "before").write_bytes(records)
    (job,) = read_generations(host.ask("generations", NF_PLATFORM_GIVEN="nixos").stdout).jobs
    assert (job.job, job.before) == (JOB, None)
    assert all((look.active, look.profile) != ("/nix/store/x",) * 2 for look in job.looks)
