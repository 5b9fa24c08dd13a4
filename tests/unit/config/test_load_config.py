"""Settings: read once, all faults together, secrets also from files, never shown."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from tidegauge.config import Config, leaves, load_config, mask_secret, show_settings
from tidegauge.errors import ConfigError

SECRET = "s3cret"


def faults(env: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(env)
    return caught.value.message


def test_empty_environment_gives_defaults() -> None:
    assert load_config({}) == Config()


def test_values_are_read_in_their_types() -> None:
    config = load_config({"TIDEGAUGE_PORT": "8080", "TIDEGAUGE_LOG_LEVEL": "debug"})

    assert config.http.port == 8080
    assert config.log.level == "debug"


def test_all_faults_are_reported_together() -> None:
    message = faults(
        {
            "TIDEGAUGE_PORT": "99999",
            "TIDEGAUGE_HTTP_THREADS": "many",
            "TIDEGAUGE_LOG_LEVEL": "loud",
            "TIDEGAUGE_PROT": "1",
            "DATABASE_URL": "postgresql://a/b",
            "DATABASE_URL_FILE": "/some/file",
        }
    )

    assert "TIDEGAUGE_PORT=99999: must lie between 0 and 65535" in message
    assert "TIDEGAUGE_HTTP_THREADS='many': a whole number is wanted" in message
    assert "TIDEGAUGE_LOG_LEVEL='loud': must be one of debug, info, warning, error" in message
    assert "TIDEGAUGE_PROT: there is no such setting" in message
    assert "DATABASE_URL and DATABASE_URL_FILE are both set" in message


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("TIDEGAUGE_ACCESS_TOKEN", "too-short", "it has 9 characters, at least 16 are wanted"),
        ("TIDEGAUGE_ACCESS_TOKEN", "  ", "it has 0 characters"),
        ("TIDEGAUGE_GRAFANA_SECRET", "too-short", "it has 9 characters"),
        ("TIDEGAUGE_TRUSTED_PROXIES", "10.0.0.0/8,nonsense", "'nonsense' does not appear to be"),
        ("TIDEGAUGE_TRUSTED_PROXIES", "10.1.2.3/8", "10.1.2.3/8 has host bits set"),
    ],
)
def test_settings_that_would_let_the_wrong_ones_in_are_refused(
    name: str, text: str, reason: str
) -> None:
    message = faults({name: text, "TIDEGAUGE_PORT": "99999"})

    assert f"{name}: {reason}" in message
    assert "TIDEGAUGE_PORT" in message
    assert "too-short" not in message


def test_unknown_names_outside_our_prefix_are_left_alone() -> None:
    assert load_config({"HOME": "/root", "TIDE": "1"}) == Config()


def test_names_are_case_sensitive() -> None:
    assert load_config({"tidegauge_port": "1"}) == Config()


@pytest.mark.parametrize("text", ["", " ", "1.5", "0x10", "3001s"])
def test_a_number_must_be_whole(text: str) -> None:
    assert "TIDEGAUGE_PORT" in faults({"TIDEGAUGE_PORT": text})


def test_bounds_of_every_number_are_inclusive() -> None:
    numbers = [leaf for _, leaf in leaves() if isinstance(leaf.default, int)]
    lowest = {leaf.metadata["env"]: str(leaf.metadata["low"]) for leaf in numbers}
    highest = {leaf.metadata["env"]: str(leaf.metadata["high"]) for leaf in numbers}

    assert load_config(lowest).http.port == 0
    assert load_config(highest).http.port == 65535


@pytest.mark.parametrize("edge", ["low", "high"])
def test_one_beyond_any_bound_is_a_fault(edge: str) -> None:
    step = -1 if edge == "low" else 1
    numbers = [leaf for _, leaf in leaves() if isinstance(leaf.default, int)]
    env = {leaf.metadata["env"]: str(leaf.metadata[edge] + step) for leaf in numbers}

    message = faults(env)

    assert [name for name in env if f"{name}=" not in message] == []


def test_every_default_is_within_its_bounds() -> None:
    defaults = {leaf.metadata["env"]: str(leaf.default) for _, leaf in leaves()}

    assert load_config(defaults) == Config()


def test_names_are_unique_and_every_setting_says_what_it_is() -> None:
    names = [leaf.metadata["env"] for _, leaf in leaves()]

    assert len(names) == len(set(names))
    assert [leaf.name for _, leaf in leaves() if not leaf.metadata["help"].endswith(".")] == []


def test_secret_comes_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgresql://u:p@h/d\n")

    assert load_config({"DATABASE_URL_FILE": str(path)}).database.url == "postgresql://u:p@h/d"


def test_missing_secret_file_is_a_fault(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")

    assert f"DATABASE_URL_FILE: cannot read '{missing}'" in faults({"DATABASE_URL_FILE": missing})


def test_secret_file_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00")

    assert "DATABASE_URL_FILE: cannot read" in faults({"DATABASE_URL_FILE": str(path)})


def test_settings_that_are_no_secrets_have_no_file_form() -> None:
    assert "TIDEGAUGE_PORT_FILE: there is no such setting" in faults({"TIDEGAUGE_PORT_FILE": "x"})


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().http.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{SECRET}@host:5432/db",
        f"postgresql://user@host/db?password={SECRET}&sslmode=require",
        f"postgresql://user@host/db?sslmode=require&sslpassword={SECRET}",
        f"host=somewhere user=me password={SECRET}",
        f"postgresql://user:a@{SECRET}@host/db",
        f"postgresql://:{SECRET}@/db",
        f"postgresql:{SECRET}",
        f"//user:{SECRET}@host",
        f"postgresql://user:a/{SECRET}@host/db",
        f"postgresql://user:a?{SECRET}@host/db",
        f"postgresql://user:a#{SECRET}@host/db",
        f"postgresql://user:[{SECRET}@host/db",
        SECRET,
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    shown = "\n".join(show_settings(load_config({"DATABASE_URL": url})))

    assert SECRET not in shown
    assert "DATABASE_URL=" in shown


def test_what_is_no_password_stays_readable() -> None:
    masked = mask_secret(f"postgresql://user:{SECRET}@host:5432/db?sslmode=require&password=x")

    assert masked == ("postgresql://user:********@host:5432/db?sslmode=require&password=********")


def test_defaults_are_marked() -> None:
    lines = list(show_settings(load_config({"TIDEGAUGE_PORT": "3005"})))

    assert "TIDEGAUGE_PORT=3005" in lines
    assert "TIDEGAUGE_HOST=127.0.0.1  # default" in lines
