"""Configuration: every setting as data, read from options, environment and files, parsed once.

A value is taken from the first place that has it: command option, environment variable,
`stocktake.toml` in the current directory, `~/.config/stocktake/config.toml`, default.

>>> load_settings(environ={"STOCKTAKE_WORKERS": "4"}, project_dir=Path("/none")).workers
4

The default catalog is per user (`~/.local/share/stocktake/catalog`), not below the current
directory: an inventory describes a bucket, not a project, and `stocktake ls` has to find today what
was imported yesterday from elsewhere. A project that wants its own puts `catalog = "catalog"` in
its `stocktake.toml`.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stocktake.errors import InvalidSettingError

ENV_PREFIX = "STOCKTAKE_"
PROJECT_FILE = "stocktake.toml"

_PARTS = ("ship",)
"""Parts of stocktake with settings of their own: a table, and variables with their prefix."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_NEAR_MISS = 0.8


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as documentation and parser see it.

    Attributes:
        name: Field of `Settings` and key in configuration files.
        kind: str, bool, int or float.
        help: What it does, for people.
        default: The value if nobody says anything; None is "not set".
        minimum: Smallest number allowed; None for no bound and for what is not a number.
    """

    name: str
    kind: type
    help: str
    default: Any = None
    minimum: float | None = None

    @property
    def env(self) -> str:
        """Its environment variable."""
        return ENV_PREFIX + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "catalog",
        str,
        "Where the catalog lives: a directory or an s3:// address. A relative path in a file is "
        "relative to that file. Default: ~/.local/share/stocktake/catalog (below XDG_DATA_HOME).",
    ),
    Setting(
        "state_url",
        str,
        "Control database as an SQLAlchemy URL. Default: an SQLite file inside the catalog "
        "directory; needed if the catalog is at an s3:// address.",
    ),
    Setting(
        "endpoint_url", str, "Address of the object store. Not set: AWS_ENDPOINT_URL, then AWS."
    ),
    Setting(
        "region",
        str,
        "Region of the object store. Not set: the AWS configuration; buckets elsewhere are "
        "followed.",
    ),
    Setting(
        "profile",
        str,
        "Profile of the AWS configuration files. Not set: AWS_PROFILE, then the default one.",
    ),
    Setting("role_arn", str, "Role to assume before anything is read."),
    Setting("anonymous", bool, "Send unsigned requests, for public buckets.", default=False),
    Setting(
        "requester_pays",
        bool,
        "Agree to pay for requests to requester-pays buckets.",
        default=False,
    ),
    Setting(
        "workers",
        int,
        "Parts read at the same time; 0 is one per core.",
        default=0,
        minimum=0,
    ),
    Setting(
        "memory_mb",
        int,
        "Memory that an import or a query may take, in MiB.",
        default=400,
        minimum=64,
    ),
    Setting(
        "connect_timeout_s",
        float,
        "Seconds to wait for a connection.",
        default=5.0,
        minimum=0.1,
    ),
    Setting(
        "read_timeout_s",
        float,
        "Seconds to wait for the next bytes of an answer.",
        default=60.0,
        minimum=0.1,
    ),
    Setting(
        "attempts",
        int,
        "Times a request is tried before it counts as failed.",
        default=6,
        minimum=1,
    ),
)
"""Every setting, in the order of the reference page."""

_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of one run. Fields are described in `SETTINGS`."""

    catalog: str
    state_url: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    anonymous: bool = False
    requester_pays: bool = False
    workers: int = 0
    memory_mb: int = 400
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    attempts: int = 6


def load_settings(
    options: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    project_dir: Path | None = None,
) -> Settings:
    """The settings in force: options, then environment, project file, user file, defaults.

    Args:
        options: Values by setting name; None is "not given".
        environ: Environment to read; the process's own by default.
        project_dir: Where `stocktake.toml` may lie; the current directory by default.

    Raises:
        InvalidSettingError: An unknown key, or a value that the setting cannot have.
    """
    env = os.environ if environ is None else environ
    _refuse_misspelt_variables(env)
    values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    values["catalog"] = str(_data_home(env) / "stocktake" / "catalog")
    for path in (
        config_home(env) / "stocktake" / "config.toml",
        (Path.cwd() if project_dir is None else project_dir) / PROJECT_FILE,
    ):
        values |= _read_file(path)
    values |= _read_environment(env)
    for name, value in (options or {}).items():
        if value is not None:
            values[name] = _parse(_BY_NAME[name], value, origin=f"--{name.replace('_', '-')}")
    return Settings(**values)


def _data_home(env: Mapping[str, str]) -> Path:
    return Path(env.get("XDG_DATA_HOME") or _home(env) / ".local" / "share")


def config_home(env: Mapping[str, str]) -> Path:
    """Where the user's configuration files are (XDG)."""
    return Path(env.get("XDG_CONFIG_HOME") or _home(env) / ".config")


def _home(env: Mapping[str, str]) -> Path:
    return Path(env.get("HOME") or "~").expanduser()


def _read_environment(env: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in SETTINGS:
        text = env.get(setting.env, "")
        if text:  # an empty variable is how shells say "not set"
            found[setting.name] = _parse(setting, text, origin=setting.env)
    return found


def _refuse_misspelt_variables(env: Mapping[str, str]) -> None:
    known = [setting.env for setting in SETTINGS]
    others = tuple(f"{ENV_PREFIX}{part.upper()}_" for part in _PARTS)
    for variable in env:
        if variable.startswith(others):
            continue
        if variable.startswith(ENV_PREFIX) and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1, cutoff=_NEAR_MISS)
            if near:  # others of the prefix belong to other parts of stocktake
                raise InvalidSettingError(
                    f"`{variable}` is not a setting",
                    hint=f"did you mean `{near[0]}`?",
                    variable=variable,
                )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettingError(
            f"the configuration file `{path}` cannot be read: {error}", path=str(path)
        ) from error
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if key in _PARTS and isinstance(value, dict):
            continue
        setting = _BY_NAME.get(key)
        if setting is None:
            raise _unknown_key(key, path)
        found[key] = _parse(setting, value, origin=f"`{key}` in {path}")
    if "catalog" in found and "://" not in found["catalog"]:
        found["catalog"] = str(path.parent / Path(found["catalog"]).expanduser())
    return found


def _unknown_key(key: str, path: Path) -> InvalidSettingError:
    near = difflib.get_close_matches(key, list(_BY_NAME), n=1)
    hint = f"did you mean `{near[0]}`?" if near else "settings: " + ", ".join(_BY_NAME)
    return InvalidSettingError(f"`{key}` in `{path}` is not a setting", hint=hint, key=key)


def _parse(setting: Setting, value: Any, *, origin: str) -> Any:
    """`value` as the setting's type; text is parsed, numbers and booleans of TOML are taken."""
    parsed = _convert(setting.kind, value)
    if parsed is None:
        kind = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        raise InvalidSettingError(
            f"{origin} is `{value}`, not {kind[setting.kind]}", setting=setting.name
        )
    if setting.minimum is not None and not parsed >= setting.minimum:
        raise InvalidSettingError(
            f"{origin} is {value}, the smallest value is {setting.minimum:g}", setting=setting.name
        )
    return parsed


def _convert(kind: type, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, str):
            low = value.lower()
            return True if low in _TRUE else False if low in _FALSE else None
        return value if isinstance(value, bool) else None
    if kind is str:
        return value if isinstance(value, str) and value else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if kind is int and isinstance(value, float):
        return None
    try:
        return kind(value)
    except ValueError:
        return None
