"""The OpenAPI 3.1 document, made from the routes themselves: their rules, docstrings, bodies.

A route says with `describe` what cannot be seen from outside it: the shape of its body, its query
parameters, and how it answers. Bodies are msgspec structs or marshmallow schemas.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import Schema
from werkzeug.routing import Rule

from tidegauge.auth.permissions import OPEN_TO_ALL
from tidegauge.web.access import find_permission

View = TypeVar("View", bound=Callable[..., Any])
Shape = type[Any] | Mapping[str, object]

NUMBER: Mapping[str, object] = {"type": "integer", "minimum": 0}
TEXT: Mapping[str, object] = {"type": "string"}
FLAG: Mapping[str, object] = {"type": "boolean"}
TEXTS: Mapping[str, object] = {"type": "array", "items": {"type": "string"}}

_DESCRIPTION = "openapi_description"
_VARIABLE = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
_KINDS = {"int": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}}
_JSON = "application/json"
_ERRORS = (
    ("/prometheus/", "PrometheusError"),
    ("/grafana/json", "GrafanaError"),
    ("/alertmanager/", "AlertmanagerError"),
)
_SCHEMAS: Mapping[str, dict[str, object]] = {
    "Error": {
        "type": "object",
        "properties": {
            "error": {"type": "string"},
            "code": {"type": "string"},
            "request_id": {"type": "string"},
            "position": {"type": "object"},
        },
        "required": ["error", "code", "request_id"],
    },
    "PrometheusError": {
        "type": "object",
        "properties": {
            "status": {"const": "error"},
            "errorType": {"type": "string"},
            "error": {"type": "string"},
        },
        "required": ["status", "errorType", "error"],
    },
    "Outcome": {
        "type": "object",
        "properties": {
            "accepted": {"type": "integer"},
            "rejected": {"type": "integer"},
            "errors": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["accepted", "rejected", "errors"],
    },
    "AlertmanagerError": {"type": "string"},
    "GrafanaError": {
        "type": "object",
        "properties": {"message": {"type": "string"}, "error": {"type": "object"}},
        "required": ["message", "error"],
    },
}


@dataclass(frozen=True, slots=True)
class Description:
    """What a route says of itself.

    Args:
        body: the shape of a JSON body, or its JSON schema; None: there is none, or it is no JSON.
        query: the schema of each query parameter.
        status: of success.
        answer: the media type of success; "": no body.
        other_answer: another media type that success may have, "": none.
        refusal: the schema of another body that a refusal may have, "": none.
    """

    body: Shape | None = None
    query: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    status: int = 200
    answer: str = _JSON
    other_answer: str = ""
    refusal: str = ""


def describe(
    *,
    body: Shape | None = None,
    query: Mapping[str, Mapping[str, object]] | None = None,
    status: int = 200,
    answer: str = _JSON,
    other_answer: str = "",
    refusal: str = "",
) -> Callable[[View], View]:
    """Say of a view what the document tells; see `Description`."""

    def mark(view: View) -> View:
        setattr(
            view,
            _DESCRIPTION,
            Description(body, query or {}, status, answer, other_answer, refusal),
        )
        return view

    return mark


def build_document(app: Flask, *, version: str) -> dict[str, Any]:
    """Return the OpenAPI document of an app's routes.

    Args:
        app: with all its blueprints.
        version: the product's.
    """
    document = APISpec(
        title="Tidegauge",
        version=version,
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin(schema_name_resolver=_name_schema)],
    )
    for name, schema in _SCHEMAS.items():
        document.components.schema(name, dict(schema))
    for name, scheme in {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "tidegauge_session"},
    }.items():
        document.components.security_scheme(name, scheme)
    for rule in sorted(app.url_map.iter_rules(), key=lambda one: one.rule):
        view = app.view_functions[rule.endpoint]
        operations = {
            method.lower(): _describe_operation(document, rule, method, view)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        }
        document.path(_VARIABLE.sub(r"{\2}", rule.rule), operations=operations)
    return document.to_dict()


def _describe_operation(
    document: APISpec, rule: Rule, method: str, view: Callable[..., Any]
) -> dict[str, Any]:
    said: Description = getattr(view, _DESCRIPTION, Description())
    permission = find_permission(view) or ""
    error = next((name for prefix, name in _ERRORS if rule.rule.startswith(prefix)), "Error")
    content: dict[str, Any] = {
        kind: {"schema": {}} for kind in (said.answer, said.other_answer) if kind
    }
    operation: dict[str, Any] = {
        "operationId": f"{rule.endpoint}.{method.lower()}",
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": (inspect.getdoc(view) or "").partition("\n\n")[0].replace("\n", " "),
        "parameters": [*_path_parameters(rule), *_query_parameters(said)],
        "responses": {
            str(said.status): {"description": "success", "content": content},
            "default": {
                "description": "refused or failed",
                "content": {_JSON: {"schema": _refer(error, said.refusal)}},
            },
        },
        "x-permission": permission,
        "security": [] if permission in OPEN_TO_ALL else [{"token": []}, {"session": []}],
    }
    if said.body is not None and method not in ("GET", "DELETE"):
        schema = _describe_body(document, said.body)
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    return operation


def _refer(*names: str) -> dict[str, object]:
    references: list[dict[str, object]] = [
        {"$ref": f"#/components/schemas/{name}"} for name in names if name
    ]
    return references[0] if len(references) == 1 else {"anyOf": references}


def _path_parameters(rule: Rule) -> Iterator[dict[str, Any]]:
    for kind, name in _VARIABLE.findall(rule.rule):
        schema = _KINDS.get(kind, {"type": "string", "minLength": 1})
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(said: Description) -> Iterator[dict[str, Any]]:
    for name, schema in said.query.items():
        yield {"name": name, "in": "query", "required": False, "schema": dict(schema)}


def _describe_body(document: APISpec, shape: Shape) -> Any:
    if isinstance(shape, Mapping):
        return dict(shape)
    if isinstance(shape, type) and issubclass(shape, Schema):
        return shape  # apispec's plugin knows what to do.
    (reference,), parts = msgspec.json.schema_components(
        [shape], ref_template="#/components/schemas/{name}"
    )
    for name, schema in parts.items():
        if name not in document.components.schemas:
            document.components.schema(name, schema)
    return reference


def _name_schema(schema: Any) -> str:
    cls = schema if isinstance(schema, type) else type(schema)
    return cls.__name__
