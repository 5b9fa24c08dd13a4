"""Alertmanager's own tool sends alerts to the same receivers as our routes do."""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import yaml
from tidegauge.alerts.routing_document import RoutingDocument, parse_routing
from tidegauge.model.labels import make_labels

from tests.support.debian import find_program
from tests.support.needs import need_programs

SEED = 20260101
ROUTES, ALERTS = 40, 60
NAMES, VALUES = ("severity", "team", "env"), ("a", "b", "ab", "c.d")
MATCHERS = (
    '{name}="{value}"',
    "{name}={value}",
    '{name}!="{value}"',
    '{name}=~"{value}|b"',
    '{name}=~".*{value}"',
    '{name}!~"{value}.?"',
    '{name}=""',
)


def make_route(random: Random, depth: int) -> dict[str, Any]:
    """Return a route, and below it some more."""
    name, value = random.choice(NAMES), random.choice(VALUES)
    matchers = [random.choice(MATCHERS).format(name=name, value=value)] * random.randint(0, 2)
    route: dict[str, Any] = {"matchers": matchers or ['team!="x"']}
    if random.random() < 0.7:
        route["receiver"] = f"r{random.randint(0, 9)}"
    if random.random() < 0.4:
        route["continue"] = True
    if depth < 4:
        below = random.choice((0, 1, 3))
        route["routes"] = [make_route(random, depth + 1) for _ in range(below)]
    return route


def test_amtool_chooses_the_same_receivers(tmp_path: Path) -> None:
    need_programs("amtool")
    random = Random(SEED)
    routes = [make_route(random, 1) for _ in range(ROUTES)]
    route = {"receiver": "root", "routes": routes}
    names = ["root", *(f"r{number}" for number in range(10))]
    config = tmp_path / "alertmanager.yml"
    config.write_text(yaml.safe_dump({"route": route, "receivers": [{"name": n} for n in names]}))
    # One channel each: who is chosen shows.
    receivers = [
        {"name": name, "channels": [{"type": "email", "target": f"{name}@example.org"}]}
        for name in names
    ]
    document = {"receivers": receivers, "route": route}
    routing = parse_routing(msgspec.convert(document, RoutingDocument))
    told = set()

    for _ in range(ALERTS):
        labels = {name: random.choice(VALUES) for name in NAMES if random.random() < 0.7}
        pairs = [f"{name}={value}" for name, value in labels.items()]
        command = [find_program("amtool"), "config", "routes", "test", f"--config.file={config}"]
        said = subprocess.run(
            [*command, *pairs], capture_output=True, text=True, timeout=30, check=True
        )
        wanted = said.stdout.strip().split(",")

        steps = routing.explain(make_labels(labels))
        assert [one.receiver for one in steps if one.chosen] == wanted, (labels, SEED)
        chosen = {one.receiver for one in routing.choose(make_labels(labels))}
        assert chosen == set(wanted), (labels, SEED)
        told |= chosen

    assert len(told) > 5
