"""What is read of an authorized_keys file that others write, and what a change to it leaves alone."""

import subprocess
from pathlib import Path

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendetta.errors import InvalidInput
from vendetta.ssh.authorized_keys.lines import (
    add,
    build_options,
    find,
    lines_of,
    parse_entry,
    parse_public_key,
    put_back,
    remove,
)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me@here"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB other"

options = st.lists(
    st.one_of(
        st.sampled_from([b"restrict", b"pty", b"no-pty", b"cert-authorityless"]),
        st.text(st.characters(codec="utf-8", exclude_characters='"\r\n\0')).map(
            lambda text: b'command="' + text.replace("\\", "/").encode() + b'"'
        ),
        st.just(b'command="echo \\"a b\\" #"'),
    ),
    min_size=1,
).map(b",".join)
awkward = st.one_of(
    st.binary(max_size=60), st.sampled_from([b"", b"# x", b" \t", b"\r", b"ssh-ed25519", OTHER.encode()])
)
ending = st.sampled_from([b"\n", b"\r\n"])
contents = st.tuples(st.lists(st.tuples(awkward, ending)), st.one_of(st.just(b""), awkward)).map(
    lambda parts: b"".join(line + end for line, end in parts[0]) + parts[1]
)


@given(contents)
def test_adding_keeps_every_byte_and_does_it_once(content: bytes) -> None:
    after = add(content, KEY)
    assert after in (content + KEY.encode() + b"\n", content + b"\n" + KEY.encode() + b"\n")
    assert find(after, KEY)
    assert add(after, KEY) == after


@given(contents)
def test_removing_what_was_added_leaves_what_there_was(content: bytes) -> None:
    ended = content if not content or content.endswith(b"\n") else content + b"\n"
    assert remove(add(content, KEY), [KEY]) == ended
    assert remove(content, [KEY]) == content


@given(contents)
def test_what_was_taken_out_can_be_put_back(content: bytes) -> None:
    taken = lines_of(content + b"\n" + OTHER.encode() + b"\n", [OTHER])
    assert OTHER.encode() in taken
    assert put_back(content, []) == content
    after = put_back(content, taken)
    assert after.startswith(content)
    assert lines_of(after, [OTHER])
    assert put_back(after, taken) == after


@given(contents, contents, options)
def test_options_are_put_on_its_line_wherever_that_is(before: bytes, after: bytes, given: bytes) -> None:
    text = given.decode()
    before = before if not before or before.endswith(b"\n") else before + b"\n"
    found = add(before + KEY.encode() + b"\n" + after, KEY, text)
    assert found == before + given + b" " + KEY.encode() + b"\n" + after
    entry = find(found, KEY)
    assert entry
    assert entry.options == given
    assert add(found, KEY, text) == found


@given(st.binary())
def test_no_line_is_too_odd_to_be_read(line: bytes) -> None:
    parse_entry(line)


@given(options, st.sampled_from([b" ", b"\t", b"  "]))
def test_options_end_where_sshd_ends_them(given: bytes, space: bytes) -> None:
    entry = parse_entry(b"  " + given + space + KEY.encode() + b"\r\n")
    assert entry
    assert (entry.options, entry.type, entry.blob) == (given, b"ssh-ed25519", KEY.split()[1].encode())


def test_the_line_of_an_authority_is_not_that_of_the_key() -> None:
    authority = f"cert-authority,restrict {KEY}\n".encode()
    assert find(authority, KEY) is None
    assert add(authority, KEY) == authority + f"{KEY}\n".encode()
    assert remove(authority, [KEY]) == authority


def test_several_lines_of_one_key_become_one_with_options() -> None:
    content = f"{KEY}\n{OTHER}\npty {KEY}\n".encode()
    assert add(content, KEY) == content
    assert add(content, KEY, "restrict") == f"restrict {KEY}\n{OTHER}\n".encode()
    assert remove(content, [KEY, OTHER]) == b""


@pytest.mark.parametrize(
    "text", ["", "x", "ssh-ed25519 AAAA", f"{KEY}\n{OTHER}", "-----BEGIN OPENSSH PRIVATE KEY-----"]
)
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_public_key(text)


@given(st.text(max_size=200))
def test_no_text_makes_more_than_one_line(text: str) -> None:
    try:
        line = parse_public_key(text)
    except InvalidInput:
        return
    assert line.isprintable()
    assert "\n" not in line


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=60))
def test_a_comment_is_kept_whatever_is_in_it(comment: str) -> None:
    line = parse_public_key(f"{' '.join(KEY.split()[:2])} x{comment}")
    assert line.endswith(f" x{comment}")


@pytest.mark.parametrize(
    ("restrict", "sources", "built"),
    [
        (False, [], ""),
        (True, [], "restrict,port-forwarding,pty"),
        (False, ["10.0.0.0/8", " fd00::/8", "!10.1.1.1", "*.lan"], 'from="10.0.0.0/8,fd00::/8,!10.1.1.1,*.lan"'),
        (True, ["192.0.2.7"], 'restrict,port-forwarding,pty,from="192.0.2.7"'),
    ],
)
def test_options(restrict: bool, sources: list[str], built: str) -> None:
    assert build_options(restrict=restrict, sources=sources) == built


@pytest.mark.parametrize("source", ["", '"', "a b", "a,b", "10.0.0.1/8", "10.0.0.0/33", "x/8", "a\nb", "10.0.0.0/"])
def test_a_source_that_sshd_would_not_take(source: str) -> None:
    with pytest.raises(InvalidInput):
        build_options(restrict=False, sources=[source])


def test_the_right_network_is_suggested() -> None:
    with pytest.raises(InvalidInput) as refused:
        build_options(restrict=False, sources=["10.0.0.1/8"])
    assert "10.0.0.0/8" in (refused.value.hint or "")


def test_ssh_keygen_reads_what_we_write(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519", comment="us").export_public_key().decode().strip()
    file = tmp_path / "authorized_keys"
    file.write_bytes(add(b"# x\n" + OTHER.encode(), key, build_options(restrict=True, sources=["10.0.0.0/8"])))
    listed = subprocess.run(["ssh-keygen", "-lf", file], capture_output=True, text=True, check=True).stdout
    assert len(listed.splitlines()) == 2
    assert listed.splitlines()[1].split()[2] == "us"
