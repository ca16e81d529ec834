"""The OpenAPI document is valid, and names every call that the application takes."""

from __future__ import annotations

import inspect
import json

import pytest
from openapi_spec_validator import validate

from ringfence.gateway import application
from ringfence.gateway.openapi import openapi_document


def test_document_is_valid_openapi() -> None:
    validate(json.loads(openapi_document()))


def test_document_without_its_paths_is_not_valid() -> None:
    document = json.loads(openapi_document())
    document["paths"]["/v1/find"]["post"].pop("responses")
    document.pop("info")

    with pytest.raises(Exception, match="info"):
        validate(document)


@pytest.mark.parametrize("word", ["records", "users", "export", "receipts", "read", "write", "find"])
def test_every_word_of_the_routes_is_in_the_document(word: str) -> None:
    paths = json.loads(openapi_document())["paths"]

    assert f'"{word}"' in inspect.getsource(application)
    assert any(word in path.split("/") for path in paths)
