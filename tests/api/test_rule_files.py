"""Rules as files, on a real database: what is loaded, exported and loaded again is the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.principal import person
from tidegauge.cli import main
from tidegauge.config import Config, DatabaseConfig, TraceConfig
from tidegauge.services import Services

from tests.support.debian import find_program
from tests.support.needs import need_programs

API = "/api/v1/alerts"
FILE = """
groups:
  - name: jobs
    interval: 30s
    rules:
      - {record: job:up:ratio, expr: avg by (job) (up), labels: {window: "5"}}
      - alert: JobDown
        expr: job:up:ratio < 0.5
        for: 5m
        annotations: {summary: "{{ $labels.job }} is down"}
"""


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        database=DatabaseConfig(url=migrated_database_url), trace=TraceConfig(own_metrics_s=0)
    )


@pytest.fixture
def viewer(services: Services) -> FlaskClient:
    return create_app(services, local=person(7, "vera", "viewer")).test_client()


@pytest.fixture
def rules(config: Config):
    """Run `tidegauge rules` on the database and return what it printed."""

    def run(*arguments: str) -> str:
        environment = {"DATABASE_URL": config.database.url}
        done = CliRunner().invoke(
            main, ["rules", *arguments], env=environment, catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_a_file_that_is_loaded_exported_and_loaded_is_as_before(
    rules, viewer: FlaskClient, tmp_path: Path
) -> None:
    path = tmp_path / "jobs.yml"
    path.write_text(FILE)

    first = rules("load", str(path))
    response = viewer.get(f"{API}/export?file=jobs.yml")
    exported = response.get_data(as_text=True)
    path.write_text(exported)
    second = rules("load", str(path))

    assert response.mimetype == "application/yaml"
    assert "2 made, 0 changed, 0 deleted, 0 as before" in first
    assert "0 made, 0 changed, 0 deleted, 2 as before" in second
    assert rules("export", "--file", "jobs.yml") == exported
    assert viewer.get(f"{API}/export?file=no.yml").status_code == 404


def test_promtool_takes_what_is_exported(
    client: FlaskClient, viewer: FlaskClient, rules, tmp_path: Path
) -> None:
    need_programs("promtool")
    path = tmp_path / "jobs.yml"
    path.write_text(FILE)
    rules("load", str(path))
    hot = {"name": "too hot", "query": "heat # of all", "condition": "gt", "threshold": 5}
    assert client.post(API, json=hot).status_code == 201
    path.write_bytes(viewer.get(f"{API}/export").get_data())

    done = subprocess.run(
        [find_program("promtool"), "check", "rules", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS: 3 rules found" in done.stdout


def test_strangers_export_nothing(services: Services) -> None:
    assert create_app(services).test_client().get(f"{API}/export").status_code == 401
