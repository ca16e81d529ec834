"""Every export below the given paths is found once, and nothing else is opened."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.core.errors import InvalidInputError
from ringfence.legacy.limits import DEFAULT_LIMITS, ReadLimits
from ringfence.legacy.reader import read_export
from ringfence.legacy.sources import ExportSource, SkippedSource, printable_name, walk_sources
from tests.legacy.exports import load_matcher

EXPORT = json.dumps({"New": {"a": 1}}).encode()


def walk(*paths: Path, limits: ReadLimits = DEFAULT_LIMITS) -> tuple[list[ExportSource], list[SkippedSource]]:
    """Give the exports and the rest."""
    found = list(walk_sources(paths, limits=limits))
    sources = [source for source in found if isinstance(source, ExportSource)]
    return sources, [source for source in found if isinstance(source, SkippedSource)]


def read(source: ExportSource) -> bytes:
    """Read an export's text whole."""
    with source.open() as stream:
        return b"".join(iter(lambda: stream.read(1000), b""))


def names(found: list[ExportSource] | list[SkippedSource], root: Path) -> list[str]:
    """Give the names below a root."""
    return [source.name.removeprefix(f"{root}").removeprefix("/") for source in found]


def write_zip(path: Path, members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def patch(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes that are there."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


# ---- directories -----------------------------------------------------------------------------------------------------


def test_a_directory_is_walked_by_name_whatever_the_order_it_was_made_in(tmp_path: Path) -> None:
    for name in ("b/2.json", "a.json", "b/10.json", "Z.JSON", "c/d/e.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(EXPORT)

    sources, skipped = walk(tmp_path)

    assert names(sources, tmp_path) == ["Z.JSON", "a.json", "b/10.json", "b/2.json", "c/d/e.json"]
    assert skipped == []
    assert {read(source) for source in sources} == {EXPORT}
    assert {source.size_bytes for source in sources} == {len(EXPORT)}


def test_paths_are_walked_in_the_order_given(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(EXPORT)

    assert names(walk(tmp_path / "b.json", tmp_path / "a.json")[0], tmp_path) == ["b.json", "a.json"]


def test_what_is_no_export_is_left_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.json").touch()
    (tmp_path / "empty.ndjson").touch()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "whole.json").write_bytes(EXPORT)
    os.mkfifo(tmp_path / "pipe.json")

    sources, skipped = walk(tmp_path)

    assert names(sources, tmp_path) == ["whole.json"]
    assert {source.verdict for source in skipped} == {"left"}
    assert dict(zip(names(skipped, tmp_path), (source.reason for source in skipped), strict=True)) == {
        "empty.json": "it is empty",
        "empty.ndjson": "it is empty",
        "notes.txt": "its name does not end in .json, .ndjson or .zip",
        "pipe.json": "it is no regular file",
    }


def test_a_path_that_is_not_there_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(EXPORT)

    sources, skipped = walk(tmp_path / "gone.json", tmp_path / "a.json")

    assert len(sources) == 1
    assert [(source.verdict, "No such file" in source.reason) for source in skipped] == [("refused", True)]


@pytest.fixture
def plain_directory() -> Iterator[Path]:
    """A directory that every user of the machine may enter, as `tmp_path` is not."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(os.path.realpath(directory))


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Be nobody for a while when the tests run as root, to whom everything is readable."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield
    if is_root:
        os.seteuid(0)


def test_what_may_not_be_read_is_refused_and_the_rest_goes_on(
    plain_directory: Path, request: pytest.FixtureRequest
) -> None:
    (plain_directory / "a.json").write_bytes(EXPORT)
    (plain_directory / "b.json").write_bytes(EXPORT)
    (plain_directory / "b.json").chmod(0)
    (plain_directory / "c").mkdir(mode=0)
    request.getfixturevalue("unprivileged")

    sources, skipped = walk(plain_directory)

    assert names(sources, plain_directory) == ["a.json", "b.json"]
    with sources[0].open() as readable:
        assert readable.read(100) == EXPORT
    with pytest.raises(InvalidInputError, match="cannot be read: Permission denied"):
        sources[1].open()
    assert names(skipped, plain_directory) == ["c"]
    assert {(source.verdict, "Permission denied" in source.reason) for source in skipped} == {("refused", True)}


def test_a_link_is_followed_inside_of_the_directory_and_never_out_of_it(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    (outside / "deep").mkdir(parents=True)
    (inside / "real").mkdir(parents=True)
    (outside / "secret.json").write_bytes(b'{"secret": 1}')
    (inside / "real" / "a.json").write_bytes(EXPORT)
    (inside / "in.json").symlink_to("real/a.json")
    (inside / "out.json").symlink_to(outside / "secret.json")
    (inside / "out-too.json").symlink_to("../outside/secret.json")
    (inside / "directory").symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    (inside / "itself.json").symlink_to("itself.json")
    (inside / "gone.json").symlink_to("nowhere.json")

    sources, skipped = walk(inside)

    assert names(sources, inside) == ["in.json", "real/a.json"]
    assert all(read(source) == EXPORT for source in sources)
    assert names(skipped, inside) == ["directory", "gone.json", "itself.json", "loop", "out-too.json", "out.json"]


def test_a_path_that_was_given_is_followed_wherever_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.json").write_bytes(EXPORT)
    (tmp_path / "given").symlink_to("real")
    (tmp_path / "given.json").symlink_to("real/a.json")

    sources, _ = walk(tmp_path / "given", tmp_path / "given.json")

    assert names(sources, tmp_path) == ["given/a.json", "given.json"]


def test_a_file_swapped_for_a_link_after_the_walk_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(EXPORT)
    (tmp_path / "b.json").write_bytes(EXPORT)
    first, second = walk(tmp_path)[0]
    (tmp_path / "a.json").unlink()
    (tmp_path / "a.json").symlink_to("b.json")

    with pytest.raises(InvalidInputError, match="cannot be read") as caught:
        first.open()
    assert caught.value.place == first.name
    assert read(second) == EXPORT


def test_odd_names_are_read_and_safe_to_print(tmp_path: Path) -> None:
    odd = [
        b"\xff\xfe.json",
        "\u202etxt.json".encode(),
        b"new\nline.json",
        b"\x1b[2J.json",
        "é ü.json".encode(),
        b"a\\b.json",
    ]
    for name in odd:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(EXPORT)

    sources, skipped = walk(tmp_path)

    assert not skipped
    assert len({source.name for source in sources}) == len(odd)
    assert all(source.name.isprintable() and source.name.encode() for source in sources)
    assert all(read(source) == EXPORT for source in sources)
    assert printable_name("é ü.json") == "é ü.json"


def test_a_source_can_be_read_twice_and_by_another_process(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(EXPORT)
    (tmp_path / "b.ndjson").write_bytes(EXPORT + b"\n" + EXPORT)
    write_zip(tmp_path / "c.zip", {"m.json": EXPORT})

    for source in walk(tmp_path)[0]:
        assert read(source) == read(pickle.loads(pickle.dumps(source))) == EXPORT


def test_a_file_over_the_limit_is_refused_and_one_at_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(EXPORT)

    assert len(walk(tmp_path, limits=ReadLimits(export_size_bytes_max=len(EXPORT)))[0]) == 1
    _, (skipped,) = walk(tmp_path, limits=ReadLimits(export_size_bytes_max=len(EXPORT) - 1))
    assert skipped.verdict == "refused"


# ---- lines -----------------------------------------------------------------------------------------------------------


def test_each_line_is_an_export_and_blank_ones_are_none(tmp_path: Path) -> None:
    lines = tmp_path / "a.ndjson"
    lines.write_bytes(b'{"a": 1}\n\n  \r\n{"a": 2}\r\n{"a": 3}')

    sources, skipped = walk(lines)

    assert [source.name for source in sources] == [f"{lines}:1", f"{lines}:4", f"{lines}:5"]
    assert [json.loads(read(source)) for source in sources] == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert not skipped


def test_lines_longer_than_what_is_scanned_at_once_are_whole(tmp_path: Path) -> None:
    texts = [b'"' + b"x" * size + b'"' for size in (1 << 20, (1 << 20) - 3, 10, 3 << 20)]
    (tmp_path / "a.ndjson").write_bytes(b"\n".join(texts) + b"\n" + b" " * (3 << 20) + b"\n")

    assert [read(source) for source in walk(tmp_path)[0]] == texts


def test_a_line_over_the_limit_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"[1]\n[1, 2, 3, 4]\n[2]\n")

    sources, skipped = walk(tmp_path, limits=ReadLimits(export_size_bytes_max=5))

    assert names(sources, tmp_path) == ["a.ndjson:1", "a.ndjson:3"]
    assert [(source.verdict, *names([source], tmp_path)) for source in skipped] == [("refused", "a.ndjson:2")]


# ---- archives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_members_are_streamed_out_of_an_archive(tmp_path: Path, method: int) -> None:
    large = json.dumps([f"text {number}" for number in range(100_000)]).encode()
    archive = write_zip(tmp_path / "a.zip", {"b.json": large, "d/a.json": EXPORT, "read me.txt": b"x"}, method=method)

    sources, skipped = walk(archive)

    assert [source.name for source in sources] == [f"{archive}!b.json", f"{archive}!d/a.json"]
    assert [read(source) for source in sources] == [large, EXPORT]
    assert [source.size_bytes for source in sources] == [len(large), len(EXPORT)]
    assert [(source.verdict, source.name) for source in skipped] == [("left", f"{archive}!read me.txt")]
    with sources[0].open() as stream:
        assert stream.read(0) == b""
        assert len(stream.read(10)) == 10
        items = list(read_export(io.BytesIO(large), name="x", matcher=load_matcher()))
        assert len(items) == 100_000


def test_an_archive_behind_other_bytes_and_one_with_large_offsets_are_read(tmp_path: Path) -> None:
    plain = write_zip(tmp_path / "plain.zip", {"a.json": EXPORT})
    (tmp_path / "behind.zip").write_bytes(b"#!/bin/sh\n" + plain.read_bytes())
    with (
        zipfile.ZipFile(tmp_path / "large.zip", "w") as archive,
        archive.open("a.json", "w", force_zip64=True) as member,
    ):
        member.write(EXPORT)

    assert [read(source) for source in walk(tmp_path)[0]] == [EXPORT] * 3


@pytest.mark.parametrize(
    "name", ["/etc/a.json", "../a.json", "d/../../a.json", "..\\a.json", "C:\\a.json", "\\\\host\\a.json"]
)
def test_a_member_whose_name_leads_out_is_refused_and_the_rest_goes_on(tmp_path: Path, name: str) -> None:
    sources, skipped = walk(write_zip(tmp_path / "a.zip", {name: EXPORT, "..a/b..json": EXPORT}))

    assert names(sources, tmp_path) == ["a.zip!..a/b..json"]
    assert [(source.verdict, source.reason) for source in skipped] == [("refused", "its name leads out of the archive")]


def test_an_archive_inside_an_archive_is_refused(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", {"a.json": EXPORT}).read_bytes()

    sources, skipped = walk(write_zip(tmp_path / "outer.zip", {"inner.zip": inner, "a.json": EXPORT}))

    assert names(sources, tmp_path) == ["outer.zip!a.json"]
    assert [source.reason for source in skipped] == ["it is an archive inside an archive"]


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a.json": EXPORT})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)

    _, skipped = walk(archive)

    assert [(source.verdict, source.reason) for source in skipped] == [("refused", "it is encrypted")]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_whose_growth_cannot_be_bounded_are_refused(tmp_path: Path, method: int) -> None:
    _, skipped = walk(write_zip(tmp_path / "a.zip", {"a.json": EXPORT}, method=method))

    assert [source.verdict for source in skipped] == ["refused"]


def test_a_name_that_occurs_twice_is_read_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.json", b"[1]")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.json", b"[2]")

    sources, skipped = walk(tmp_path)

    assert [read(source) for source in sources] == [b"[1]"]
    assert [source.reason for source in skipped] == ["its name occurs twice"]


def test_a_member_that_grows_too_much_is_refused(tmp_path: Path) -> None:
    fitting = json.dumps([os.urandom(8).hex() for _ in range(100_000)]).encode()
    assert len(walk(write_zip(tmp_path / "fits.zip", {"a.json": fitting}))[0]) == 1

    _, skipped = walk(write_zip(tmp_path / "bomb.zip", {"bomb.json": b"[" * 20_000_000, "a.json": fitting * 5}))

    assert [source.reason for source in skipped] == ["it grows over 200 times when inflated"]


def test_an_archive_whose_members_share_their_bytes_is_refused(tmp_path: Path) -> None:
    text = zlib.compress(b"1" * 900_000, 9)[2:-4]
    local = struct.pack(
        "<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, zlib.crc32(b"1" * 900_000), len(text), 900_000, 6, 0
    )
    content, directory = local + b"a.json" + text, b""
    for number in range(1000):
        name = f"{number:04d}.json".encode()
        directory += (
            struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, zlib.crc32(b"1" * 900_000), len(text),
                        900_000, len(name), 0, 0, 0, 0, 0, 0) + name
        )  # fmt: skip
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1000, 1000, len(directory), len(content), 0)
    (tmp_path / "a.zip").write_bytes(content + directory + end)

    sources, skipped = walk(tmp_path)

    assert not sources
    assert [(source.verdict, "grows over" in source.reason) for source in skipped] == [("refused", True)]


def test_an_archive_is_taken_to_its_limits_and_refused_beyond(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {f"{number}.json": EXPORT for number in range(10)})
    size = 10 * len(EXPORT)
    for taken, refused in (
        (ReadLimits(archive_members_max=10), ReadLimits(archive_members_max=9)),
        (ReadLimits(archive_size_bytes_max=size), ReadLimits(archive_size_bytes_max=size - 1)),
        (ReadLimits(), ReadLimits(archive_directory_size_bytes_max=100)),
        (ReadLimits(export_size_bytes_max=len(EXPORT)), ReadLimits(export_size_bytes_max=len(EXPORT) - 1)),
    ):
        assert len(walk(archive, limits=taken)[0]) == 10
        sources, skipped = walk(archive, limits=refused)
        assert not sources
        assert {source.verdict for source in skipped} == {"refused"}


def test_a_table_of_contents_that_states_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.json", EXPORT)
    content = (tmp_path / "a.zip").read_bytes()
    assert len(walk(tmp_path)[0]) == 1
    end = content.index(b"PK\x05\x06")
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 1 << 40, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    (tmp_path / "a.zip").write_bytes(content[:end] + record + locator + content[end:])

    _, skipped = walk(tmp_path)

    assert [(source.verdict, "a table of contents of over" in source.reason) for source in skipped] == [
        ("refused", True)
    ]


def test_a_member_other_than_stated_is_refused_when_it_is_read(tmp_path: Path) -> None:
    text = json.dumps({"New": os.urandom(1000).hex()}).encode()
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        archive = write_zip(tmp_path / "a.zip", {"a.json": text}, method=method)
        whole = archive.read_bytes()
        (source,), _ = walk(archive)
        assert read(source) == text
        directory = whole.index(b"PK\x01\x02")
        for place, change in ((directory + 16, 0x01), (directory + 24, 0x04), (60, 0x01), (0, 0xFF)):
            damaged = bytearray(whole)
            damaged[place] ^= change
            archive.write_bytes(damaged)
            (source,), _ = walk(archive)
            with pytest.raises(InvalidInputError), source.open() as stream:
                list(read_export(stream, name=source.name, matcher=load_matcher()))


def test_a_member_larger_than_stated_is_refused_before_it_is_inflated_whole(tmp_path: Path) -> None:
    text = json.dumps(["x" * 50] * 100).encode()
    archive = write_zip(tmp_path / "a.zip", {"a.json": text})
    patch(archive, struct.pack("<L", len(text)), struct.pack("<L", 100))
    (source,), _ = walk(archive)

    with source.open() as stream, pytest.raises(InvalidInputError, match="larger than the archive states"):
        stream.read(1000)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_what_is_no_whole_archive_is_refused(tmp_path: Path, keep: float) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a.json": EXPORT})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * keep)] or b"PK not")

    sources, skipped = walk(archive)

    assert not sources
    assert [source.verdict for source in skipped] == ["refused"]


def test_any_damaged_byte_of_an_archive_gives_exports_or_a_refusal(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a.json": EXPORT, "b.json": EXPORT * 3})
    content = archive.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        archive.write_bytes(damaged)
        for source in walk(archive)[0]:
            try:
                read(source)
            except InvalidInputError:
                continue
