"""The templates of pages."""

from __future__ import annotations

from pathlib import Path


def template_environment(*folders: Path):
    """Return jinja2's environment for templates in ``folders`` and here: everything is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
