"""Writes made-up exports as files, in every form that exports arrive in."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ringfence.synthetic.export import Layout, make_export
from ringfence.synthetic.people import SyntheticUser, dice, make_users

HEAVY_TIMES_ACTIVE: Final = 100
_ZIP_DATE: Final = (2022, 3, 14, 0, 0, 0)
_DIRECTORIES: Final = 16


def write_exports(
    directory: str | os.PathLike[str],
    *,
    users: int,
    seed: int,
    layout_mix: float = 0.25,
    heavy: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Sequence[SyntheticUser]:
    """Write one export for each made-up user and give the users, so that a caller knows the truth.

    Seven in ten are `.json` files in sub-directories, two are members of `exports.zip`, one is a line of
    `exports.ndjson`; the same arguments always give the same bytes.

    Args:
        directory: is made when it is not there; files of the same names are written anew.
        users: how many.
        layout_mix: share of users with the older layout, 0 to 1; their texts are ASCII with escapes.
        heavy: how many of the first users are a hundred times as active as the others.
        advance: called after each user.

    Raises:
        ConfigurationError: the libraries of the `demo` extra are not installed.
    """
    root = Path(directory)
    for number in range(_DIRECTORIES):
        (root / "json" / f"{number:02d}").mkdir(parents=True, exist_ok=True)
    people = tuple(make_users(users, seed=seed))
    with (
        zipfile.ZipFile(root / "exports.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        (root / "exports.ndjson").open("wb") as lines,
    ):
        for user in people:
            text = render_export(
                user,
                layout=choose_layout(user, layout_mix=layout_mix),
                times_active=HEAVY_TIMES_ACTIVE if user.index < heavy else 1,
            )
            form = user.index % 10
            if form < 7:
                (root / "json" / f"{user.index % _DIRECTORIES:02d}" / f"user-{user.index:06d}.json").write_bytes(text)
            elif form < 9:
                member = zipfile.ZipInfo(f"user-{user.index:06d}/user_data_tiktok.json", date_time=_ZIP_DATE)
                member.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(member, text)
            else:
                lines.write(text + b"\n")
            advance()
    return people


def choose_layout(user: SyntheticUser, *, layout_mix: float) -> Layout:
    """Give the layout of the user's export: the older one for a share of the users."""
    return "older" if dice(user.seed, "layout", user.index).random() < layout_mix else "current"


def render_export(user: SyntheticUser, *, layout: Layout, times_active: int = 1) -> bytes:
    """Render the user's export as JSON text in one line; the older layout escapes all but ASCII."""
    export = make_export(user, layout=layout, times_active=times_active)
    return json.dumps(export, ensure_ascii=layout == "older").encode()


def write_large_export(path: str | os.PathLike[str], *, size_bytes: int, seed: int) -> SyntheticUser:
    """Write one valid export of at least `size_bytes`, in little memory: an ordinary one with a very long history.

    Raises:
        ConfigurationError: the libraries of the `demo` extra are not installed.
    """
    (user,) = make_users(1, seed=seed)
    export = make_export(user)
    history = export["Your Activity"].pop("Watch History")
    activity = json.dumps(export.pop("Your Activity"), ensure_ascii=False).encode().removesuffix(b"}")
    rest = json.dumps(export, ensure_ascii=False).encode().removesuffix(b"}")
    watched = [json.dumps(item).encode() for item in history["VideoList"] or ({"Date": "2021-01-01 00:00:00"},)]
    chance = dice(seed, "large")
    with open(path, "wb") as file:
        written = file.write(rest + b', "Your Activity": ' + activity + b', "Watch History": {"VideoList": [')
        written += file.write(b", ".join(watched))
        while written < size_bytes:
            day, second = chance.randrange(1, 29), chance.randrange(60)
            lines = [
                b', {"Date": "2021-%02d-%02d 12:%02d:%02d", "Link": "https://www.video.example/share/%d/"}'
                % (number % 12 + 1, day, number % 60, second, chance.randrange(10**18, 10**19))
                for number in range(1000)
            ]
            written += file.write(b"".join(lines))
        file.write(b"]}}}")
    return user
