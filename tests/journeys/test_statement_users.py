"""Whoever agrees to a grant for some users can tell which: their references are held against names."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.desks import GRANT, Desk, open_desks


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Desk]]:
    with open_desks(tmp_path_factory.mktemp("users")) as desks:
        app = Desk("app", desks["eve"].folder, desks["eve"].server)
        for user in ("ann", "bob"):
            app.do("put", "profile", user, "--fields", f'{{"userName": "{user}"}}', "--purpose", "serve_user")
        yield desks


@pytest.fixture(scope="module")
def statement(desks: dict[str, Desk]) -> Path:
    """The bytes of a proposal about ann and bob, as ada has them before she signs."""
    proposal = desks["eve"].ask(GRANT.replace("subjects_any: true", "users: [ann, bob]"), name="two users")
    path = desks["ada"].folder / "two.json"
    desks["ada"].do("statement", "get", str(proposal), "--out", str(path))
    return path


def test_approver_tells_whom_a_grant_is_about(desks: dict[str, Desk], statement: Path) -> None:
    right = desks["ada"].run("statement", "users", str(statement), "bob", "ann")
    assert (right.returncode, right.stdout) == (0, "it is about these users and nobody else\n")

    fewer = desks["ada"].run("statement", "users", str(statement), "ann", "--json")
    assert fewer.returncode == 1
    found = json.loads(fewer.stdout)
    assert (found["users"], found["missing"], len(found["other"])) == (["ann"], [], 1)
    assert base64.b64encode(bytes.fromhex(found["other"][0])).decode() in statement.read_text("utf-8")


def test_user_who_is_not_there_and_one_whom_it_is_not_about_are_told(desks: dict[str, Desk], statement: Path) -> None:
    app = Desk("app", desks["eve"].folder, desks["eve"].server)
    app.do("put", "profile", "cid", "--fields", '{"userName": "cid"}', "--purpose", "serve_user")

    other = desks["ada"].run("statement", "users", str(statement), "ann", "bob", "cid")
    assert (other.returncode, other.stdout) == (1, "it is not about cid\n")
    nobody = desks["ada"].run("statement", "users", str(statement), "ann", "zoe")
    assert nobody.returncode == 1
    assert "there is no user 'zoe'" in nobody.stderr


def test_who_may_neither_ask_nor_agree_looks_nobody_up(desks: dict[str, Desk], statement: Path) -> None:
    refused = desks["hal"].run("statement", "users", str(statement), "ann", "bob")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "only members who may ask for grants or agree to them can name users" in refused.stderr


def test_statement_that_names_no_users_says_so(desks: dict[str, Desk]) -> None:
    proposal = desks["eve"].ask(GRANT, name="any user")
    path = desks["ada"].folder / "any.json"
    desks["ada"].do("statement", "get", str(proposal), "--out", str(path))
    refused = desks["ada"].run("statement", "users", str(path), "ann")
    assert refused.returncode == 1
    assert f"{path}: it names no users" in refused.stderr
