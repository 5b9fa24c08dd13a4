"""`/api/v1/openapi.json`, and `/api/v1/docs`, the page that shows the same to a person.

The page holds no script, and all that it shows is escaped.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, current_app, render_template

from tidegauge import __version__
from tidegauge.web.access import require
from tidegauge.web.errors import json_response
from tidegauge.web.openapi import build_document, describe

blueprint = Blueprint(
    "reference", __name__, url_prefix="/api/v1", template_folder="templates", static_folder=None
)


@blueprint.get("/openapi.json")
@require("reference:read", log_level="debug")
@describe()
def openapi() -> Response:
    """Describe every endpoint, as OpenAPI 3.1."""
    return json_response(build_document(current_app, version=__version__))


@blueprint.get("/docs")
@require("reference:read", log_level="debug")
@describe(answer="text/html")
def page() -> Response:
    """Show every endpoint to a person."""
    document = build_document(current_app, version=__version__)
    html = render_template("reference.html", groups=_group(document), version=__version__)
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return response


@blueprint.get("/docs.css")
@require("reference:read", log_level="debug")
@describe(answer="text/css")
def style() -> Response:
    """Give the page its looks."""
    return Response(render_template("reference.css"), mimetype="text/css")


def _group(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            shown = _expand(body.get("schema"), schemas)
            groups.setdefault(operation["tags"][0], []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation["summary"],
                    "permission": operation["x-permission"],
                    "parameters": operation["parameters"],
                    "body": json.dumps(shown, indent=2, ensure_ascii=False) if shown else "",
                }
            )
    return dict(sorted(groups.items()))


def _expand(schema: dict[str, Any] | None, schemas: dict[str, Any]) -> Any:
    if schema is None or "$ref" not in schema:
        return schema
    return schemas[schema["$ref"].rpartition("/")[2]]
