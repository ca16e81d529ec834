"""`ringfence demo`: the main job from end to end, on made-up users."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from ringfence.core.errors import ConfigurationError
from ringfence.demo.stage import Stage
from ringfence.demo.story import tell


@click.command(short_help="Show the main job on made-up users.")
@click.option(
    "--charter",
    type=click.Path(path_type=Path),
    default=Path("examples/us-user-data/charter.yaml"),
    show_default=True,
    help="The agreement to put in force.",
)
@click.option("--users", type=click.IntRange(200, 100_000), default=2_000, show_default=True, help="How many.")
def demo(*, charter: Path, users: int) -> None:
    """Show the main job on made-up users: hold, decide, record, prove. Everything stays in a new directory."""
    if not charter.is_file():
        raise ConfigurationError(
            f"there is no charter at {charter}", hint="run this from the repository, or name one with --charter"
        )
    tell(Stage(Path(tempfile.mkdtemp(prefix="ringfence-demo-"))), charter, users=users)
