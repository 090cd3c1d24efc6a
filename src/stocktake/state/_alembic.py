"""Runs the migrations. Apart from `_upgrade` so that only a migration loads Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

_SCRIPTS = Path(__file__).parent / "_migrations"


def script_config() -> Config:
    """Alembic's settings for the scripts in this package; no ini file."""
    config = Config()
    # Alembic reads `%` in options as interpolation
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def run_migrations(connection: Connection, target: str = "head") -> None:
    """Every script from the database's version to `target`, in the caller's transaction."""
    config = script_config()
    config.attributes["connection"] = connection
    command.upgrade(config, target)
