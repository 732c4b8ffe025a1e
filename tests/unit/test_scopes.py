"""The check of the host scripts' variables finds each fault that it is made for."""

from __future__ import annotations

import functools

import pytest
from scopes.dialect import later
from scopes.form import COLUMNS, LINES, too_large
from scopes.reading import read_script
from scopes.rules import check
from scopes.scripts import sent_scripts, written_scripts
from scopes.syntax import NotPosixError


def faults(text: str) -> list[str]:
    return [fault.text for fault in check(read_script(text))]


@functools.cache
def job() -> str:
    """The script of a job, as it is sent."""
    return sent_scripts()["job"]


def changed(*changes: tuple[str, str]) -> list[str]:
    """The faults of a job's script after these words are replaced."""
    text = job()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return faults(text)


def test_a_pid_that_the_next_command_overwrites_is_found() -> None:
    """An old fault: a command's own process had the agent's name, so unloading did not wait."""
    found = changed(("nf_launchd_unload_pid", "nf_pid"), ("nf_quietly_pid", "nf_pid"))
    assert "nf_run overwrites nf_pid, which nf_launchd_unload set and needs" in found


def test_a_domain_that_the_wait_overwrites_is_found() -> None:
    """An old fault: an agent that was unloaded from one domain was loaded into another."""
    found = changed(("nf_launchd_start_domain", "nf_domain"), ("nf_domain_of_try", "nf_domain"))
    assert "nf_domain_of sets nf_domain: begin its name with nf_domain_of_, or say " in " ".join(
        found
    )


def test_a_new_variable_without_its_functions_name_is_found() -> None:
    found = changed(("nf_owners_path() {\n", "nf_owners_path() {\n  nf_step_down_seconds=0\n"))
    assert any(text.startswith("nf_owners_path sets nf_step_down_seconds: ") for text in found)
    assert (
        "nf_owners_path overwrites nf_step_down_seconds, which nf_step_down set and needs" in found
    )


OURS = """
f() {
  f_x=1
  %s
  echo "$f_x"
}
# sets: f_x
g() { f_x=2; }
h() { "$@"; }
i() { g; }
f
"""
OVERWRITES = "overwrites f_x, which f set and needs"


@pytest.mark.parametrize(
    ("middle", "who"),
    [
        ("i", "i"),
        ("i >file", "i"),
        ("{ i; }", "i"),
        ("if true; then i; fi", "i"),
        ("true && i", "i"),
        ("case $1 in a) i ;; esac", "i"),
        ("echo x | i", "i"),
        ("h g", "h"),
        ("while true; do i; done", "i"),
        ('while echo "$f_x"; do i; f_x=3; done', ""),
        ('for f_y in 1 2; do echo "$f_x $f_y"; i; done', "i"),
        ("i; f_x=3", ""),
        ('f_y=$(i); echo "$f_y"', ""),
        ('echo "$(i)"', ""),
        ("(i)", ""),
        ("i &", ""),
        ("i | cat", ""),
        ("if false; then i; return; fi", ""),
        ("until true; do i; continue; done", "i"),
        ("while true; do i; f_x=4; break; done", ""),
        ("g", ""),
    ],
)
def test_checker_names_who_overwrites_a_variable_still_needed(middle: str, who: str) -> None:
    expected = [f"{who} {OVERWRITES}"] if who else []
    assert faults(OURS % middle) == expected


def test_a_recursive_function_overwrites_its_own_variables() -> None:
    text = 'f() { f_x=$1; g "$f_x"; echo "$f_x"; }\ng() { f 2; }\nf 1\n'
    assert faults(text) == ["g overwrites f_x, which f set and needs"]


def test_checker_follows_calls_whose_name_is_composed() -> None:
    text = 'f() { f_x=1; "g_$1"; echo "$f_x"; }\n# sets: f_x\ng_a() { f_x=2; }\ng_b() { h; }\n'
    text += "h() { g_a; }\nf a\n"
    assert faults(text) == ["g_b overwrites f_x, which f set and needs"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('"$x"', "what this calls cannot be known here"),
        ('eval "$x"', "what eval runs cannot be known here"),
        ('trap "$x" TERM', "what this trap runs cannot be known here"),
        ("f_none", "there is no function f_none in this script"),
    ],
)
def test_an_unresolvable_line_is_a_fault(line: str, fault: str) -> None:
    assert faults(f"x=1\nf_one() {{ {line}; }}\nf_one\n") == [fault]
    assert faults(f"x=1\nf_one() {{ :; }}\n{line}\n") == [fault]


def test_a_word_before_a_program_is_no_function() -> None:
    text = 'X=\n{ X=exec; }\nf() { $X cat; $X sw_vers "$1"; }\nf\n'
    assert faults(text) == []


def test_a_variable_has_its_functions_name_or_is_declared() -> None:
    assert faults("f() { x=1; echo $x; }\nf\n") == [
        "f reads x: nobody sets it for others",
        "f sets x: begin its name with f_, or say `# sets: x`",
    ]
    assert faults("# sets: f_x\nf() { f_x=1; }\ng() { f; echo $f_x; }\ng\n") == []
    assert faults("f() { f_x=1; }\ng() { f; echo $f_x; }\ng\n") == ["g reads f_x: it is f's own"]


def test_the_longest_name_owns_a_variable() -> None:
    text = "f() { f_g_x=1; echo $f_g_x; }\nf_g() { :; }\nf\nf_g\n"
    assert faults(text) == [
        "f reads f_g_x: it is f_g's own",
        "f sets f_g_x: begin its name with f_, or say `# sets: f_g_x`",
    ]


def test_setting_an_unread_variable_is_a_fault() -> None:
    assert faults("f() { f_x=1; }\nf\n") == ["f sets f_x, which nobody reads"]


def test_changing_a_constant_of_the_prelude_is_a_fault() -> None:
    assert faults("NF_X=1\n# sets: NF_X\nf() { NF_X=2; echo $NF_X; }\nf\n") == [
        "f changes NF_X, which the prelude gives"
    ]


@pytest.mark.parametrize(
    ("trap", "fault"),
    [
        ("trap g TERM", ["what this trap runs changes g_x"]),
        ("trap g EXIT", []),
        ("trap '(g)' TERM", []),
        ("trap 'exit 1' TERM", []),
        ("trap - TERM", []),
    ],
)
def test_setting_a_variable_in_a_trap_is_a_fault(trap: str, fault: list[str]) -> None:
    assert faults(f"f() {{ {trap}; }}\ng() {{ g_x=1; echo $g_x; }}\nf\ng\n") == fault


def test_assignments_are_made_from_left_to_right() -> None:
    assert faults("f() { f_a=1 f_b=$f_a; echo $f_b; }\nf\n") == []


def test_a_script_that_no_posix_shell_reads_is_refused() -> None:
    with pytest.raises(NotPosixError, match="`if` must be followed by"):
        faults("f() { [[ a ]]; if; }\n")


def test_lines_and_functions_fit_on_a_screen() -> None:
    fits = "x" * COLUMNS + "\nf() {\n" + "  :\n" * (LINES - 2) + "}\n"
    assert too_large(fits) == []
    (line,) = too_large(fits.replace("x", "xx", 1))
    assert (line.line, line.text) == (1, "111 columns, 110 are allowed")
    (function,) = too_large(fits.replace("  :\n", "  :\n  :\n", 1))
    assert (function.line, function.text) == (2, "f has 41 lines, 40 are allowed")


def test_no_script_of_a_host_needs_more_than_bash_32() -> None:
    scripts = {**sent_scripts(), **written_scripts()}
    assert {"job", "nix/agent-wrapper.sh", "nixfleet_core/sandbox/tools/ssh.sh"} <= scripts.keys()
    assert {name: later(text) for name, text in scripts.items() if later(text)} == {}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("mapfile -t lines", "mapfile is no command of POSIX sh"),
        ("command readarray lines", "readarray is no command of POSIX sh"),
        ("declare -A map", "declare is no command of POSIX sh"),
        ("f() { local -n x; }", "local is no command of POSIX sh"),
        ("shopt -s globstar", "shopt is no command of POSIX sh"),
        ("[[ -v x ]]", "[[ is no command of POSIX sh"),
        ("coproc cat", "coproc is no command of POSIX sh"),
        ("echo ${x^^}", "this expansion operator is a bash feature; tried parsing as posix"),
        ("echo ${x,,}", "this expansion operator is a bash feature; tried parsing as posix"),
        ("echo ${x@Q}", "this expansion operator is a bash/mksh feature; tried parsing as posix"),
        ("echo ${x: -1}", "slicing is a bash/mksh/zsh feature; tried parsing as posix"),
        ("a &>> log", "`&>>` redirects are a bash/mksh/zsh feature; tried parsing as posix"),
        ("a |& b", "`|` must be followed by a statement"),
        ("case a in a) b ;& esac", "`&` can only immediately follow a statement"),
        ("case a in a) b ;;& esac", "case patterns must consist of words"),
        ("exec {fd}>x", "`{varname}` redirects are a bash/zsh feature; tried parsing as posix"),
        ("[ -v x ]", "[ -v is not in POSIX sh"),
        ("test -v x", "test -v is not in POSIX sh"),
        ("printf -v 'x[1]' y", "printf -v is not in POSIX sh"),
        ("printf '\\u00e9'", "bash 3.2's printf has no \\u0"),
        ("printf '%(%s)T' -1", "bash 3.2's printf has no %(%s)T"),
        ("read -rt 0.1 x", "read -rt is not in POSIX sh"),
        ("wait -n", "wait -n is not in POSIX sh"),
        ('echo "$EPOCHSECONDS"', "bash 3.2 has no $EPOCHSECONDS"),
        ("echo $'\\u00e9'", "$'…' is not in every POSIX sh"),
        ("x=$(case a in a) b ;; esac)", 'a case in $( ) needs "(" before its pattern'),
        ("x=$(case a in (a) b ;; c) d ;; esac)", 'a case in $( ) needs "(" before its pattern'),
        ("x=$(cat <<E\nit's\nE\n)", "a here-document in $( )"),
        ('x="$(a # it\'s\n)"', 'a comment in "$( )"'),
        ('echo "${x:-it\'s}"', "reached EOF without closing quote `'`"),
        ("sh -c 'mapfile x'", "in what sh runs, line 1: mapfile is no command of POSIX sh"),
        (
            "X='\nmapfile x'; f 5 sh -c \"$X\" sh",
            "in what f runs, line 2: mapfile is no command of ",
        ),
        ("trap 'wait -n' TERM", "in what trap runs, line 1: wait -n is not in POSIX sh"),
    ],
)
def test_what_bash_32_lacks_or_reads_wrongly_is_found(line: str, fault: str) -> None:
    (found,) = later(f"true\n{line}\n")
    assert found.text.startswith(fault)
    assert found.line >= 2


@pytest.mark.parametrize(
    "line",
    [
        "x=$(case a in (a | b) c ;; (*) d ;; esac)",
        "x=`case a in a) b ;; esac`",
        "case a in a) b ;; esac",
        "x=$(a # it's\n)",
        "cat <<E\nit's $(x)\nE",
        "echo \"${x%'a'}\" 'it\"s'",
        'printf "%s\\n" "$x"; read -r x; unset -f g; [ -e x ]; wait "$x"',
        "sh -c \"$unknown\"; trap - TERM; trap '' HUP",
    ],
)
def test_what_bash_32_reads_rightly_is_let_alone(line: str) -> None:
    assert later(f"{line}\n") == []
