"""What docs/governance.md lists as a change's fields is what a change file takes."""

from __future__ import annotations

import hashlib
import re
import typing
from pathlib import Path

import pytest

from ringfence.cli.change_file import SIZE_BYTES_MAX, read_change
from ringfence.core import changes as c
from ringfence.core.errors import InvalidInputError

PAGE = Path(__file__).parents[2] / "docs/governance.md"
KINDS = {str(kind.__struct_config__.tag): kind for kind in typing.get_args(c.AnyChange)}
WRITTEN = {"lasts_ms": {"lasts_hours"}, "identity": {"issuer", "subject"}, "subjects_any": {"users", "subjects_any"}}
OTHERS = {"enact-charter": {"file"}, c.LEGAL_DEMAND: None, c.BREAK_GLASS: None}


def documented() -> dict[str, set[str]]:
    """Give the fields of each operation as the page lists them."""
    text = PAGE.read_text("utf-8")
    block = text[text.index("\nenact-charter     file") :]
    block = block[: block.index("```")]
    lines = re.sub(r"\n {18}", " ", block).strip().splitlines()
    return {
        line.split()[0]: set(re.findall(r"[a-z_]+", re.sub(r"\([^)]*\)", "", line.split(None, 1)[1]))) for line in lines
    }


def test_every_operation_is_listed_and_no_other() -> None:
    assert documented().keys() == {*KINDS, c.LEGAL_DEMAND, c.BREAK_GLASS}


@pytest.mark.parametrize("operation", sorted(KINDS))
def test_fields_are_those_of_the_change(operation: str) -> None:
    fields = {field for name in KINDS[operation].__struct_fields__ for field in WRITTEN.get(name, {name})}
    expected = OTHERS.get(operation) or fields

    assert expected - documented()[operation] == set()


@pytest.mark.parametrize("kind", [c.LEGAL_DEMAND, c.BREAK_GLASS])
def test_kinds_of_grants_are_written_as_the_charter_calls_them(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "change.yaml"
    file.write_text(
        f"do: {kind}\npurpose: comply\nverbs: [read]\ndatasets: [profile]\nclasses: [public]\n"
        "records_max: 1\nlasts_hours: 1\nsubjects_any: true\n"
    )

    change = read_change(file, author=7).change

    assert isinstance(change, c.Grant)
    assert (change.kind, change.person) == (kind, 7)


@pytest.mark.parametrize("operation", ["admit", "register-service"])
def test_login_that_is_not_named_is_asked_for(tmp_path: Path, operation: str) -> None:
    file = tmp_path / "change.yaml"
    file.write_text(f"do: {operation}\nparty: usds\nperson: 3\nissuer: x\n")

    with pytest.raises(InvalidInputError, match="name the login that it is about as `issuer` and `subject`"):
        read_change(file, author=1)


def test_build_is_named_by_the_digest_of_its_file_however_large(tmp_path: Path) -> None:
    (tmp_path / "app.tar").write_bytes(bytes(3 * 1024 * 1024))
    file = tmp_path / "change.yaml"
    file.write_text("do: approve-build\nname: app 7\nparty: tiktok\ndigest: app.tar\n")

    change = read_change(file, author=1).change

    assert isinstance(change, c.ApproveBuild)
    assert change.digest == hashlib.sha256(bytes(3 * 1024 * 1024)).digest()


@pytest.mark.parametrize("name", ["gone.tar", "."])
def test_file_of_a_build_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    file = tmp_path / "change.yaml"
    file.write_text(f"do: approve-build\nname: app 7\nparty: tiktok\ndigest: {name}\n")

    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_change(file, author=1)


def test_change_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "change.yaml"
    file.write_text("do: dismiss\nperson: 3\n" + "#" * SIZE_BYTES_MAX)

    with pytest.raises(InvalidInputError, match="larger than"):
        read_change(file, author=1)
