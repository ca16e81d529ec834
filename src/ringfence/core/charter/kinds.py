"""The kinds of value that a charter file has, and what a person is told of each. Used by the shapes of its sections."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

NAME_WORDS: Final = "a name of 1 to 63 lower-case letters, digits and `-`, starting with a letter or digit"
CODE_WORDS: Final = "a name of 1 to 63 lower-case letters, digits, `-` and `_`, starting with a letter or digit"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$"), Field(description=NAME_WORDS)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$"), Field(description=CODE_WORDS)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=300)]
References = Annotated[list[Reference], Field(min_length=1, max_length=256)]
Role = Literal["custodian", "host", "operator", "excluded", "overseer"]
Verb = Literal["read", "write", "find", "export", "erase"]
Verbs = Annotated[list[Verb], Field(min_length=1, max_length=5)]


def _refuse_nothing(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("nothing", "nothing is given")
    return value


GIVEN = BeforeValidator(_refuse_nothing)
"""A key that may be absent, and must not stand there with nothing behind it: an empty condition would be none."""


class Shape(BaseModel):
    """A mapping of the charter: no other keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
