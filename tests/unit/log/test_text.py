from __future__ import annotations

import itertools
import re
import stat
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.log import text as log_text
from nixfleet_core.log.text import JSON_LIMIT, LINE_LIMIT, LogText, TextDecoder

SAMPLES = Path(__file__).parents[2] / "samples"

SNIPPETS = (
    b"plain\n",
    b"\n",
    b"no newline",
    b"@nix ",
    b'@nix {"action":"msg","level":1,"msg":"a\\nb"}\n',
    b'@nix {"action":"start","id":1,"level":3,"text":"t","type":105,"fields":["x-y.drv"]}\n',
    b'@nix {"action":"result","id":1,"type":101,"fields":["line"]}\n',
    b"\x1b[31mred\x1b[0m",
    b"\x1b]52;c;aGk=\x07",
    b"\xc3\xa9\xe2\x86\x92",
    b"\xff\x9b31m",
    b"10%\r20%\r",
    b"https://u:p@h/ ",
    b"-----BEGIN RSA PRIVATE KEY-----\n",
    b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n",
    b"x" * 70,
    b"y " * 40,
    b"warning: ignoring the setting 'x'\n",
    b'@nix {"action":"msg","level":0,"msg":"warning: ignoring the setting \'x\'"}\n',
)

raw_logs = st.lists(st.one_of(st.sampled_from(SNIPPETS), st.binary(max_size=30)), max_size=60).map(
    b"".join
)


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so small that random logs reach them."""
    monkeypatch.setattr(log_text, "LINE_LIMIT", 64)
    monkeypatch.setattr(log_text, "JSON_LIMIT", 200)
    monkeypatch.setattr(log_text, "_LOOK_BACK", 8)
    monkeypatch.setattr(log_text, "_BLOCK", 50)
    monkeypatch.setattr(log_text, "_MARKS", 16)


def decode(raw: bytes) -> bytes:
    decoder = TextDecoder()
    return decoder.feed(raw) + decoder.finish()


@given(raw_logs, st.lists(st.integers(0, 3000), max_size=30))
def test_text_does_not_depend_on_how_the_bytes_arrive(raw: bytes, cuts: list[int]) -> None:
    decoder = TextDecoder()
    ends = [0, *sorted(cuts), len(raw)]
    text = b"".join(decoder.feed(raw[a:b]) for a, b in itertools.pairwise(ends) if a < b)
    assert text + decoder.finish() == decode(raw)


@given(raw_logs, st.integers(0, 3000))
def test_a_prefix_of_the_raw_log_gives_a_prefix_of_the_text(raw: bytes, size: int) -> None:
    assert decode(raw).startswith(TextDecoder().feed(raw[:size]))


@given(raw_logs)
def test_text_is_safe_lines_of_bounded_length(raw: bytes) -> None:
    text = decode(raw)
    assert text == b"" or text.endswith(b"\n")
    plain = re.sub(r"\x1b\[[0-9;:]*m", "", text.decode("utf-8"))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain)
    assert max(map(len, text.split(b"\n"))) <= 64 * 3 + len("‹redacted›".encode()) * 4


@given(raw_logs, st.integers(0, 3000), st.binary(max_size=100))
def test_resume_mends_any_log_txt(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, size: int, tail: bytes
) -> None:
    folder = tmp_path_factory.mktemp("job")
    (folder / "log").write_bytes(raw)
    right = decode(raw)
    for wrong in (None, b"", right, right[:size], right + tail, right[:size] + tail + right[size:]):
        (folder / "log.txt").unlink(missing_ok=True)
        if wrong is not None:
            (folder / "log.txt").write_bytes(wrong)
        with closing(LogText(folder / "log", folder / "log.txt")) as log:
            assert log.finish() == len(right)
        assert (folder / "log.txt").read_bytes() == right


def test_resume_continues_at_the_end_of_the_raw_log(tmp_path: Path) -> None:
    raw, text = tmp_path / "log", tmp_path / "log.txt"
    start = (
        b'@nix {"action":"start","id":1,"type":105,"level":3,"text":"t","fields":["x-foo.drv"]}\n'
    )
    line = b'@nix {"action":"result","id":1,"type":101,"fields":["hello"]}\n'
    raw.write_bytes(start + line[:20])
    with closing(LogText(raw, text)) as log:
        assert log.feed(line[20:]) == log.size == len(b"t...\nx-foo> hello\n")
    assert text.read_bytes() == b"t...\nx-foo> hello\n"


def test_resume_without_a_raw_log_is_an_empty_text(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"old")
    LogText(tmp_path / "log", tmp_path / "log.txt").close()
    assert (tmp_path / "log.txt").read_bytes() == b""


def test_a_right_log_txt_is_not_written_again(tmp_path: Path) -> None:
    raw, text = tmp_path / "log", tmp_path / "log.txt"
    raw.write_bytes(b"one\ntwo\n" * 20)
    text.write_bytes(b"one\ntwo\n" * 20)
    text.chmod(0o400)
    before = text.stat()
    text.chmod(0o600)
    LogText(raw, text).close()
    assert text.stat().st_mtime_ns == before.st_mtime_ns


def test_a_new_log_txt_is_empty_and_private(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with closing(LogText(tmp_path / "log", path)) as log:
        assert path.read_bytes() == b""
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert log.feed(b"new\nhalf") == 4
        assert path.read_bytes() == b"new\n"
        assert log.finish() == 9
        assert log.finish() == 9
    assert path.read_bytes() == b"new\nhalf\n"


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.internal-json")), ids=lambda p: p.name)
def test_recorded_logs_arrive_byte_by_byte(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_text, "LINE_LIMIT", LINE_LIMIT)
    monkeypatch.setattr(log_text, "JSON_LIMIT", JSON_LIMIT)
    raw = sample.read_bytes()
    decoder = TextDecoder()
    text = b"".join(decoder.feed(raw[i : i + 1]) for i in range(len(raw)))
    assert text == decode(raw)
    assert b"@nix" not in text
    assert text


def test_secrets_do_not_reach_the_text() -> None:
    raw = b'@nix {"action":"msg","level":0,"msg":"get \\u001b[1mhttps://tok@h/x\\u001b[0m"}\n'
    key = b"-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n"
    assert decode(raw).decode() == "get \x1b[1mhttps://‹redacted›@h/x\x1b[0m\n"
    assert b"MIIE" not in decode(key)


def test_a_giant_line_is_cut_at_spaces_and_characters_and_loses_nothing() -> None:
    for line in ("word " * 100, "x" * 500, "é" * 300, "→" * 300, "\U0001f600" * 100):
        pieces = decode(line.encode()).decode().split("\n")
        assert "".join(pieces) == line
        assert max(len(piece.encode()) for piece in pieces) <= 64
    assert all(piece.endswith(b" ") for piece in decode(b"word " * 100).split(b"\n")[:-2])


def test_a_line_of_50_mb_is_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_text, "LINE_LIMIT", LINE_LIMIT)
    decoder = TextDecoder()
    chunk, size = b"z" * LINE_LIMIT, 0
    for _ in range(800):
        size += len(decoder.feed(chunk).replace(b"\n", b""))
        assert len(decoder._rest) <= LINE_LIMIT
    assert size >= 799 * LINE_LIMIT


def test_long_json_is_decoded_and_longer_json_is_shown_raw() -> None:
    def event(size: int) -> bytes:
        return b'@nix {"action":"msg","level":0,"msg":"%s"}' % (b"m" * (size - 40))

    assert len(event(200)) == 200
    assert decode(event(200) + b"\nnext\n") == b"m" * 160 + b"\nnext\n"
    assert decode(event(201)).replace(b"\n", b"") == event(201)
    assert decode(event(201)).startswith(b'@nix {"action"')


def test_an_events_offset_is_found_in_the_text() -> None:
    hidden = b'@nix {"action":"stop","id":7}\n'
    parts = (b"one\n", hidden, b'@nix {"action":"msg","level":0,"msg":"a\\nb"}\n', b"\n", b"end\n")
    decoder = TextDecoder()
    raw, text = 0, 0
    for part in parts:
        assert decoder.marks.find(raw) == text
        text += len(decoder.feed(part))
        raw += len(part)
    assert decoder.marks.find(raw) == decoder.marks.find(raw + 99) == text
    assert decoder.marks.find(0) == 0
    assert decoder.marks.find(raw - 1) == text - len(b"end\n")


@given(raw_logs, st.integers(0, 3000))
def test_the_offset_map_does_not_depend_on_how_the_bytes_arrive(raw: bytes, cut: int) -> None:
    whole, parts = TextDecoder(), TextDecoder()
    whole.feed(raw)
    parts.feed(raw[:cut])
    parts.feed(raw[cut:])
    found = [whole.marks.find(at) for at in range(len(raw) + 1)]
    assert found == [parts.marks.find(at) for at in range(len(raw) + 1)]
    assert found == sorted(found)


@given(st.lists(st.integers(0, 200), max_size=9))
def test_a_coarse_offset_map_does_not_depend_on_how_the_lines_arrive(cuts: list[int]) -> None:
    whole, parts = log_text._Marks(), log_text._Marks()
    whole.add(range(1, 201), range(1, 201))
    for a, b in itertools.pairwise([1, *sorted(cut + 1 for cut in cuts), 201]):
        parts.add(range(a, b), range(a, b))
    assert [parts.find(at) for at in range(201)] == [whole.find(at) for at in range(201)]


def test_the_offset_map_of_a_long_log_is_coarse_but_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_text, "_MARKS", 16)
    with closing(LogText(tmp_path / "log", tmp_path / "log.txt")) as log:
        log.feed(b"12345\n" * 1000)
        assert len({log.text_offset(raw) for raw in range(6001)}) <= 1 + 16
        for raw in range(0, 6001, 6):
            assert 0 <= raw - log.text_offset(raw) <= 6000 / 8
