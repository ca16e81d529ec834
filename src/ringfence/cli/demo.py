"""`ringfence demo`: the main job from end to end, on made-up users."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from ringfence.core.errors import ConfigurationError
from ringfence.demo.stage import Stage
from ringfence.demo.story import tell


@click.command()
@click.option(
    "--charter",
    type=click.Path(path_type=Path),
    default=Path("examples/us-user-data/charter.yaml"),
    show_default=True,
    help="The agreement to put in force.",
)
def demo(*, charter: Path) -> None:
    """Show the main job on 2,000 made-up users: hold, decide, record, prove. Everything stays in a new directory."""
    if not charter.is_file():
        raise ConfigurationError(
            f"there is no charter at {charter}", hint="run this from the repository, or name one with --charter"
        )
    tell(Stage(Path(tempfile.mkdtemp(prefix="ringfence-demo-"))), charter.resolve())
