"""The places that settings come from, each parsed into values with their origin."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from stocktake.errors import MissingExtraError, ShipSettingError
from stocktake.settings import PROJECT_FILE, config_home
from stocktake.ship._settings_table import ENV_PREFIX, SHIP_SETTINGS, TABLE, ShipSetting
from stocktake.ship._settings_values import Form, parse_value

Origins = dict[str, str]
"""By setting name, where its value comes from, for messages."""

_BY_NAME = {setting.name: setting for setting in SHIP_SETTINGS}
_SECRET_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SECRET_WORDS = ("access_key", "secret", "token", "password", "credential")
_NEAR_MISS = 0.6


@dataclass(frozen=True, slots=True)
class Layer:
    """One place. `secrets` are kept apart and shown by nothing.

    Attributes:
        values: By setting name, in their own types.
        origins: By setting name, for messages.
        where: ` in <file>`, or empty for the environment.
        secrets: AWS credentials, by variable.
    """

    values: dict[str, Any]
    origins: Origins
    where: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def option_layer(options: Mapping[str, Any]) -> Layer:
    """What the command line says; None is "not given"."""
    values, origins = {}, {}
    for name, value in options.items():
        if value is not None:
            setting = _BY_NAME[name]
            origins[name] = setting.option
            values[name] = _parsed(setting, value, setting.option, Path.cwd())
    return Layer(values, origins)


def environment_layer(variables: Mapping[str, str], where: str, folder: Path) -> Layer:
    """What variables say; empty ones say nothing. Relative folders are relative to `folder`."""
    _refuse_unknown_variables(variables, where)
    values, origins = {}, {}
    for setting in SHIP_SETTINGS:
        for variable in setting.variables:
            if variables.get(variable):
                origin = f"`{variable}`{where}" if where else f"`{variable}`"
                origins[setting.name] = origin
                values[setting.name] = _parsed(setting, variables[variable], origin, folder)
                break
    secrets = {name: variables[name] for name in _SECRET_VARIABLES if variables.get(name)}
    return Layer(values, origins, where, secrets)


def read_env_file(path: Path, *, must_exist: bool) -> Mapping[str, str]:
    """The variables of a `.env` file.

    Raises:
        ShipSettingError: It is not there or cannot be read, or a line is no assignment. The line's
            number is told, not what is in it.
        MissingExtraError: python-dotenv is not installed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError) as error:
        if not must_exist:
            return {}
        raise ShipSettingError(
            f"the file `{path}` (--env-file) is not there", setting="env_file"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ShipSettingError(
            f"the file `{path}` cannot be read: {reason}", setting="env_file"
        ) from error
    try:
        from dotenv.main import resolve_variables
        from dotenv.parser import parse_stream
    except ImportError as error:
        raise MissingExtraError(
            f"`{path}` cannot be read without python-dotenv",
            hint="pip install 'stocktake[ship]'",
        ) from error
    pairs = []
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            text = binding.original.string
            blank = text[: len(text) - len(text.lstrip())].count("\n")
            raise ShipSettingError(
                f"line {binding.original.line + blank} of `{path}` is no assignment",
                hint="write NAME=value, with quotes around a value that has spaces",
                setting="env_file",
            )
        if binding.key is not None:
            pairs.append((binding.key, binding.value))
    return {k: v for k, v in resolve_variables(pairs, override=True).items() if v is not None}


def file_layers(env: Mapping[str, str], project_dir: Path) -> list[Layer]:
    """The tables `[ship]` of the project's and the user's configuration file, in this order."""
    paths = (project_dir / PROJECT_FILE, config_home(env) / "stocktake" / "config.toml")
    return [layer for path in paths for layer in _file_layer(path)]


def _file_layer(path: Path) -> Iterable[Layer]:
    """The table, and below it what the file says for all of stocktake."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ShipSettingError(
            f"the configuration file `{path}` cannot be read: {error}", setting=str(path)
        ) from error
    table = raw.get(TABLE, {})
    if not isinstance(table, Mapping):
        raise ShipSettingError(f"`{TABLE}` in `{path}` is no table", hint="write [ship]")
    shared = {s.name for s in SHIP_SETTINGS if s.owner == "store"}
    everything = {name: value for name, value in raw.items() if name in shared}
    for found, kind in ((table, f"[{TABLE}] of "), (everything, "")):
        values, origins = {}, {}
        for name, value in found.items():
            if name not in _BY_NAME:
                raise _unknown(name, f"[{TABLE}] of `{path}`", _BY_NAME)
            origin = f"`{name}` in {kind}`{path}`"
            origins[name] = origin
            values[name] = _parsed(_BY_NAME[name], value, origin, path.parent)
        yield Layer(values, origins, f" in `{path}`")


def _refuse_unknown_variables(variables: Mapping[str, str], where: str) -> None:
    known = [setting.env for setting in SHIP_SETTINGS]
    for variable in variables:
        if variable.startswith(ENV_PREFIX) and variable not in known:
            raise _unknown(variable, where.removeprefix(" in ") or "the environment", known)


def _unknown(name: str, place: str, known: Iterable[str]) -> ShipSettingError:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=_NEAR_MISS)
    if any(word in name.lower() for word in _SECRET_WORDS):
        hint = "credentials are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only"
    elif near:
        hint = f"did you mean `{near[0]}`?"
    else:
        hint = "settings: " + ", ".join(setting.name for setting in SHIP_SETTINGS)
    return ShipSettingError(f"`{name}` in {place} is not a setting", hint=hint, setting=name)


def _parsed(setting: ShipSetting, value: Any, origin: str, folder: Path) -> Any:
    parsed = parse_value(setting.form, value)
    if parsed is None:
        raise _refused(setting, value, origin, f"not {setting.form}")
    if setting.choices and parsed not in setting.choices:
        near = difflib.get_close_matches(str(parsed), setting.choices, n=1)
        hint = f"did you mean `{near[0]}`?" if near else None
        raise _refused(setting, value, origin, "not " + " or ".join(setting.choices), hint)
    if setting.minimum is not None and parsed < setting.minimum:
        raise _refused(setting, value, origin, f"the smallest value is {setting.minimum_text}")
    if setting.maximum is not None and parsed > setting.maximum:
        raise _refused(setting, value, origin, f"the largest value is {setting.maximum_text}")
    if setting.form is Form.FOLDER:
        return folder / Path(parsed).expanduser()
    return parsed


def _refused(
    setting: ShipSetting, value: Any, origin: str, why: str, hint: str | None = None
) -> ShipSettingError:
    return ShipSettingError(
        f"`{setting.name}` ({origin}) is `{value}`: {why}", hint=hint, setting=setting.name
    )
