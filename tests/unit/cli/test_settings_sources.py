"""Settings: where values come from, and how mistakes in them read."""

import dataclasses

import pytest

from stocktake.errors import InvalidSettingError
from stocktake.settings import SETTINGS, Settings, load_settings


def env_of(tmp_path, **more):
    return {"HOME": str(tmp_path / "home"), **more}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_every_setting_is_described_and_agrees_with_the_default_of_its_field():
    by_field = {f.name: f.default for f in dataclasses.fields(Settings)}
    assert list(by_field) == [s.name for s in SETTINGS]
    for setting in SETTINGS:
        assert setting.env == "STOCKTAKE_" + setting.name.upper()
        assert len(setting.help) > 20
        assert setting.help.endswith((".", ")."))
        if setting.name != "catalog":
            assert by_field[setting.name] == setting.default


def test_without_anything_the_catalog_is_in_the_users_data_directory(tmp_path):
    settings = load_settings(environ=env_of(tmp_path), project_dir=tmp_path)
    assert settings.catalog == str(tmp_path / "home/.local/share/stocktake/catalog")
    assert settings.endpoint_url is None
    assert settings.anonymous is False


def test_xdg_data_home_moves_the_default_catalog(tmp_path):
    env = env_of(tmp_path, XDG_DATA_HOME="/data")
    assert load_settings(environ=env, project_dir=tmp_path).catalog == "/data/stocktake/catalog"


def test_option_beats_environment_beats_project_file_beats_user_file(tmp_path):
    env = env_of(tmp_path)
    write(tmp_path / "home/.config/stocktake/config.toml", 'region = "user"\nworkers = 1\n')
    assert load_settings(environ=env, project_dir=tmp_path).region == "user"
    write(tmp_path / "stocktake.toml", 'region = "project"\n')
    assert load_settings(environ=env, project_dir=tmp_path).region == "project"
    env["STOCKTAKE_REGION"] = "env"
    assert load_settings(environ=env, project_dir=tmp_path).region == "env"
    settings = load_settings({"region": "option"}, environ=env, project_dir=tmp_path)
    assert settings.region == "option"
    assert settings.workers == 1


def test_an_option_that_was_not_given_does_not_hide_the_environment(tmp_path):
    env = env_of(tmp_path, STOCKTAKE_ANONYMOUS="yes")
    settings = load_settings({"anonymous": None}, environ=env, project_dir=tmp_path)
    assert settings.anonymous is True


def test_an_empty_variable_is_not_set(tmp_path):
    env = env_of(tmp_path, STOCKTAKE_REGION="")
    assert load_settings(environ=env, project_dir=tmp_path).region is None


def test_a_relative_catalog_in_a_file_is_relative_to_that_file(tmp_path):
    write(tmp_path / "p" / "stocktake.toml", 'catalog = "cat"\n')
    settings = load_settings(environ=env_of(tmp_path), project_dir=tmp_path / "p")
    assert settings.catalog == str(tmp_path / "p" / "cat")


def test_an_s3_catalog_in_a_file_is_left_as_it_is(tmp_path):
    write(tmp_path / "stocktake.toml", 'catalog = "s3://b/c"\n')
    assert load_settings(environ=env_of(tmp_path), project_dir=tmp_path).catalog == "s3://b/c"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("regoin = 'x'", "`regoin`", "did you mean `region`?"),
        ("zzz = 1", "`zzz`", "settings: catalog, state_url"),
        ("workers = 'many'", "`workers` in ", None),
        ("workers = true", "not a whole number", None),
        ("workers = 1.5", "not a whole number", None),
        ("workers = -1", "the smallest value is 0", None),
        ("anonymous = 'perhaps'", "not true or false", None),
        ("region = ", "cannot be read", None),
        ("region = ''", "not a text", None),
    ],
)
def test_a_mistake_in_the_file_names_key_and_file(tmp_path, text, message, hint):
    write(tmp_path / "stocktake.toml", text)
    with pytest.raises(InvalidSettingError) as caught:
        load_settings(environ=env_of(tmp_path), project_dir=tmp_path)
    assert message in caught.value.message
    assert str(tmp_path / "stocktake.toml") in caught.value.message
    assert hint is None or (caught.value.hint or "").startswith(hint)


def test_a_misspelt_variable_is_an_error_with_a_suggestion(tmp_path):
    with pytest.raises(InvalidSettingError) as caught:
        load_settings(environ=env_of(tmp_path, STOCKTAKE_CATALOGUE="x"), project_dir=tmp_path)
    assert caught.value.hint == "did you mean `STOCKTAKE_CATALOG`?"


def test_a_variable_of_another_part_of_stocktake_is_left_alone(tmp_path):
    load_settings(environ=env_of(tmp_path, STOCKTAKE_SERVER_SECRET="x"), project_dir=tmp_path)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("STOCKTAKE_WORKERS", "two", "STOCKTAKE_WORKERS is `two`, not a whole number"),
        ("STOCKTAKE_ATTEMPTS", "0", "STOCKTAKE_ATTEMPTS is 0, the smallest value is 1"),
        ("STOCKTAKE_READ_TIMEOUT_S", "nan", "the smallest value is 0.1"),
        ("STOCKTAKE_ANONYMOUS", "maybe", "not true or false"),
    ],
)
def test_a_variable_with_an_impossible_value_is_named(tmp_path, variable, value, says):
    with pytest.raises(InvalidSettingError, match="STOCKTAKE_") as caught:
        load_settings(environ=env_of(tmp_path, **{variable: value}), project_dir=tmp_path)
    assert says in caught.value.message


def test_an_option_with_an_impossible_value_is_named_as_the_option(tmp_path):
    with pytest.raises(InvalidSettingError, match=r"--memory-mb is 1, the smallest value is 64"):
        load_settings({"memory_mb": 1}, environ=env_of(tmp_path), project_dir=tmp_path)
