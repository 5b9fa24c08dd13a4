"""`format_query` and `parse_query`: what can be said of a query without its data.

Source: Prometheus `web/api/v1/api.go`.
"""

from __future__ import annotations

from flask import Blueprint, Response

from tidegauge.compat.prometheus_tree import render_tree
from tidegauge.errors import InvalidInput
from tidegauge.promql.nodes import Expr
from tidegauge.promql.prettier import prettify
from tidegauge.web.access import require
from tidegauge.web.context import services
from tidegauge.web.errors import json_bytes_response, json_response
from tidegauge.web.openapi import TEXT, describe
from tidegauge.web.params import InvalidParameter, read_params

blueprint = Blueprint("prometheus_expressions", __name__, url_prefix="/prometheus/api/v1")


@blueprint.route("/format_query", methods=["GET", "POST"])
@require("query:read")
@describe(query={"query": TEXT})
def format_query() -> Response:
    """Print the query, over several lines where it is long."""
    return json_response({"status": "success", "data": prettify(_read_query())})


@blueprint.route("/parse_query", methods=["GET", "POST"])
@require("query:read")
@describe(query={"query": TEXT})
def parse_query() -> Response:
    """Show the query's syntax tree."""
    return json_bytes_response(b'{"status":"success","data":%b}' % render_tree(_read_query()))


def _read_query() -> Expr:
    try:
        return services().parser.parse(read_params().first("query"))
    except InvalidInput as exc:
        raise InvalidParameter("query", exc.message) from exc
