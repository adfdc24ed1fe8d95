"""The search for texts in memory and media: whole, bounded, and never blind."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.media import pattern_search
from tailstest.media.pattern_search import forms_of, search, search_file, search_path

TEXT = "correct horse"


def in_bytes(data, needles, *, window=pattern_search.WINDOW, parts=None):
    return search(
        iter(parts if parts is not None else [(0, len(data))]),
        lambda place, most: data[place : place + most],
        len(data),
        needles,
        window=window,
    )


def places(data, needle):
    return [at for at in range(len(data)) if data.startswith(needle, at)]


@given(
    st.lists(st.sampled_from([b"ab", b"aba", b"x", b"\0", b"abab"]), max_size=60),
    st.integers(1, 9),
    st.sampled_from([b"abab", b"aba", b"b\0a", b"x"]),
)
def test_every_copy_is_counted_once_whatever_the_window(pieces, window, needle):
    data = b"".join(pieces)
    found = in_bytes(data, {"one": needle, "other": b"xabab\0x"}, window=window)
    assert found.copies["one"].count == len(places(data, needle))
    assert found.copies["one"].first == tuple(places(data, needle)[:3])
    assert found.copies["other"].count == len(places(data, b"xabab\0x"))
    assert found.searched == len(data)  # too small for blocks


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-40, 40)), min_size=1, max_size=5),
    st.sampled_from([1 << 12, 3000, 5000, 1 << 20]),
)
def test_copies_between_blocks_of_zeros_are_found(copies, window):
    needle = "correct horse".encode("utf-16-le").strip(b"\0")
    data = bytearray(6 * 4096 + 100)
    for block, offset in copies:
        at = max(0, block * 4096 + offset)
        data[at : at + len(needle)] = needle
    found = in_bytes(bytes(data), {"one": needle}, window=window)
    assert found.copies["one"].count == len(places(bytes(data), needle))
    assert found.copies["one"].first == tuple(places(bytes(data), needle)[:3])


def test_only_what_has_content_counts_as_searched():
    data = bytes(40_960) + TEXT.encode() + bytes(40_960)
    found = in_bytes(data, forms_of(TEXT))
    assert found.copies["raw"].first == (40_960,)
    assert 0 < found.searched <= 3 * 4096


@given(st.text(min_size=8, max_size=20), st.binary(max_size=40), st.binary(max_size=40))
def test_a_text_is_found_in_every_form(text, before, behind):
    try:
        needles = forms_of(text)
    except UsageError:
        return
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        data = before + text.encode(encoding, "surrogatepass") + behind
        assert in_bytes(data, needles).found, encoding


def test_ascii_in_utf_16_is_one_form_and_other_text_two():
    assert list(forms_of(TEXT)) == ["raw", "UTF-16"]
    assert list(forms_of("Schlüssel für Łódź")) == ["raw", "UTF-16LE", "UTF-16BE"]


@pytest.mark.parametrize("text", ["", "1234567", "ßßß", "\0" * 20, "x" * 1025])
def test_what_is_too_short_or_too_long_is_refused(text):
    with pytest.raises(UsageError, match="cannot be looked for"):
        forms_of(text)


def test_a_file_with_holes_is_searched_where_it_has_content(tmp_path):
    file = tmp_path / "sparse"
    with file.open("wb") as writing:
        writing.seek((3 << 30) + 4096 - 5)  # across the border of two pages
        writing.write(TEXT.encode())
        writing.truncate(5 << 30)
    found = search_path(file, forms_of(TEXT))
    assert found.copies["raw"].count == 1
    assert found.copies["raw"].first == ((3 << 30) + 4091,)
    assert found.copies["UTF-16"].count == 0
    assert found.size == 5 << 30
    assert found.searched < 1 << 20
    assert "1 copy (raw) at 0xc0000ffb" in found.explain()


def test_a_copy_that_ends_where_the_content_ends_is_found(tmp_path):
    file = tmp_path / "sparse"
    encoded = TEXT.encode("utf-16-le")
    with file.open("wb") as writing:
        writing.seek(8192 - len(encoded) + 1)  # its last byte, a zero, is in the hole
        writing.write(encoded[:-1])
        writing.truncate(1 << 20)
    assert search_path(file, forms_of(TEXT)).copies["UTF-16"].count == 1


def test_what_is_cut_off_is_trouble_and_not_clean(tmp_path):
    file = tmp_path / "cut"
    file.write_bytes(bytes(1000))
    with file.open("rb") as opened, pytest.raises(InfrastructureError, match="only 1000 of 2000"):
        search_file(opened.fileno(), 2000, forms_of(TEXT))
    with pytest.raises(InfrastructureError, match="ends at byte 1000 instead of 2000"):
        in_bytes(bytes(1000), forms_of(TEXT), parts=[(0, 2000)])
    with pytest.raises(InfrastructureError, match="cannot be read"):
        search_path(tmp_path / "missing", forms_of(TEXT))


def test_counting_ends_somewhere(monkeypatch):
    monkeypatch.setattr(pattern_search, "COUNTED", 50)
    found = in_bytes(b"12345678" * 1000, forms_of("12345678"), window=64)
    assert found.copies["raw"].count == 50
    assert "50 or more copies (raw) at 0x0, 0x8, 0x10, ..." in found.explain()


def test_nothing_found_says_what_was_looked_at():
    found = in_bytes(os.urandom(1 << 20), forms_of(TEXT))
    assert not found.found
    said = found.explain()
    assert "no copy (raw, UTF-16)" in said
    assert "1.0 MiB with content, of 1 MiB" in said
