"""The JSON Schema that editors are given: it accepts what the parser accepts, and refuses wrong shapes."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from ringfence.core.charter.shape import charter_schema
from tests.core.governed_charter import GOVERNED
from tests.core.small_charter import SMALL

EXAMPLE = Path(__file__).parents[3] / "examples/us-user-data/charter.yaml"
VALIDATOR = Draft202012Validator(charter_schema())
RAW: dict[str, Any] = YAML(typ="safe", pure=True).load(SMALL)
RAW_GOVERNED: dict[str, Any] = YAML(typ="safe", pure=True).load(GOVERNED)


def test_schema_is_a_schema_of_its_draft() -> None:
    assert charter_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(charter_schema())


def test_valid_charters_are_accepted() -> None:
    VALIDATOR.validate(RAW)
    VALIDATOR.validate(RAW_GOVERNED)
    VALIDATOR.validate(YAML(typ="safe", pure=True).load(EXAMPLE.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), "3"),
        (("version",), 0),
        (("verison",), 3),
        (("charter",), "Not A Name"),
        (("parties", "app", "role"), "boss"),
        (("flows", 0, "verbs", 0), "peek"),
        (("flows", 0, "who"), []),
        (("flows", 0, "limit"), 3),
        (("flows", 1, "bulk"), {"records_max": 50}),
        (("datasets", "person", "fields", "id"), {"class": "public", "distinct": "some"}),
        (("datasets", "person", "records"), "few"),
        (("searchable", 1, "normalize"), "fone"),
        (("jurisdiction", "login_share_min"), 0),
    ],
)
def test_wrong_shapes_are_refused(path: tuple[str | int, ...], value: object) -> None:
    assert list(VALIDATOR.iter_errors(with_value(RAW, path, value))) != []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("governance", "operations", "admit", "approve", "count"), 0),
        (("governance", "operations", "admit", "approve"), {}),
        (("governance", "operations", "admit", "approve"), {"from": ["officer"]}),
        (("governance", "operations", "admit", "approve"), {"from": ["officer"], "count": 1, "any": []}),
        (("governance", "operations", "admit", "approve"), {"all": [{"any": []}]}),
        (("governance", "operations", "admit", "never"), ["same-teem"]),
        (("governance", "operations", "promote"), RAW_GOVERNED["governance"]["operations"]["admit"]),
        (("governance", "operations"), {"admit": RAW_GOVERNED["governance"]["operations"]["admit"]}),
        (("governance", "orders"), {}),
        (("governance", "grants", "hours_max"), 0),
        (("duties", "engineer"), {"party": "keeper"}),
        (("independence", 0, "through"), ["pey"]),
        (("separations", 0), ["engineer"]),
        (("flows", 3, "needs"), ["acces"]),
        (("flows", 4, "builds"), "any"),
    ],
)
def test_wrong_shapes_of_governance_are_refused(path: tuple[str | int, ...], value: object) -> None:
    assert list(VALIDATOR.iter_errors(with_value(RAW_GOVERNED, path, value))) != []


def with_value(raw: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """Give a charter with the value at the path replaced."""
    changed = deepcopy(raw)
    target: Any = changed
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return changed


@pytest.mark.parametrize("section", ["charter", "version", "jurisdiction", "identity", "parties", "datasets", "flows"])
def test_charter_without_a_section_is_refused(section: str) -> None:
    assert [error.validator for error in VALIDATOR.iter_errors({k: v for k, v in RAW.items() if k != section})] == [
        "required"
    ]


def test_every_value_that_a_person_writes_is_described() -> None:
    schema = charter_schema()
    shapes = {"charter": schema, **schema["$defs"]}
    undescribed = [
        f"{name}.{key}"
        for name, shape in shapes.items()
        for key, value in shape.get("properties", {}).items()
        if "description" not in value
    ]
    assert undescribed == []
