"""Dashboards, panels and folders, as bodies. Bounds are those of the dashboards themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, fields, pre_load, validate

from tidegauge.api.schemas.fields import Flag, Number, Text, Whole
from tidegauge.dashboards.grid import COLUMNS, MAX_HEIGHT, MAX_LINES
from tidegauge.dashboards.validation import (
    MAX_DESCRIPTION_CHARS,
    MAX_QUERIES,
    MAX_TAG_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
    MAX_VARIABLES,
)
from tidegauge.query.parsing import MAX_TEXT_BYTES

MAX_VERSION = 2**31 - 1
MAX_MESSAGE_CHARS = 500
MAX_INPUTS = 100
_NAME_CHARS = 64
_UID_CHARS = 40


class Body(Schema):
    """A body that refuses what it does not know, but for what an answer shows and nobody sets."""

    shown_only: ClassVar[tuple[str, ...]] = ()

    class Meta:
        """What marshmallow does with keys that no field has."""

        unknown = RAISE

    @pre_load
    def _leave_out_what_is_only_shown(self, data: Any, **_kwargs: Any) -> Any:
        # What was read may be changed and sent back whole.
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if key not in self.shown_only}


class PositionBody(Body):
    """A place on the grid, in cells."""

    x = Whole(low=0, high=COLUMNS - 1, required=True)
    y = Whole(low=0, high=MAX_LINES, required=True)
    w = Whole(low=1, high=COLUMNS, required=True)
    h = Whole(low=1, high=MAX_HEIGHT, required=True)


class ThresholdBody(Body):
    """From which value on which colour; null: from the lowest."""

    value = Number(required=True, allow_none=True)
    color = Text(most=_NAME_CHARS, required=True)


class QueryBody(Body):
    """One more query of a panel."""

    ref = Text(most=_NAME_CHARS, metadata={"description": "Which one; none for a new one."})
    query = Text(most=MAX_TEXT_BYTES, required=True)
    legend = Text(most=MAX_TITLE_CHARS)
    hidden = Flag()


class PanelBody(Body):
    """A panel; what is left out stays, or gets its default in a new one."""

    shown_only: ClassVar[tuple[str, ...]] = ("id", "dashboard_id", "row")

    version = Whole(
        low=1,
        high=MAX_VERSION,
        metadata={"description": "The version of the dashboard that was changed."},
    )
    message = Text(most=MAX_MESSAGE_CHARS)
    type = Text(most=_NAME_CHARS, required=True)
    title = Text(most=MAX_TITLE_CHARS)
    description = Text(most=MAX_DESCRIPTION_CHARS)
    position = fields.Nested(PositionBody)
    query = Text(most=MAX_TEXT_BYTES)
    legend = Text(most=MAX_TITLE_CHARS)
    more_queries = fields.List(
        fields.Nested(QueryBody), validate=validate.Length(max=MAX_QUERIES - 1)
    )
    unit = Text(most=_NAME_CHARS)
    decimals = Whole(low=0, high=15, allow_none=True)
    min = Number(allow_none=True)
    max = Number(allow_none=True)
    thresholds = fields.List(fields.Nested(ThresholdBody), validate=validate.Length(max=50))
    stacked = fields.String(allow_none=True, validate=validate.OneOf(("none", "normal", "percent")))


class DashboardPanelBody(PanelBody):
    """A panel in a dashboard's list; its id says which one, none makes a new one."""

    shown_only: ClassVar[tuple[str, ...]] = ("dashboard_id", "row")

    id = Text(most=_NAME_CHARS)
    type = Text(most=_NAME_CHARS)

    class Meta(Body.Meta):
        """A version and a message belong to the dashboard."""

        exclude = ("version", "message")


class VariableBody(Body):
    """A variable of a dashboard."""

    name = Text(most=_NAME_CHARS, least=1, required=True)
    label = Text(most=MAX_TITLE_CHARS)
    type = Text(most=_NAME_CHARS)
    query = Text(most=MAX_TEXT_BYTES)
    multi = Flag()
    include_all = Flag()
    all_value = Text(most=MAX_TITLE_CHARS)
    hidden = Flag()


# One name on the wire is a keyword to Python.
TimeBody = Body.from_dict(
    {"from": Text(most=_NAME_CHARS, required=True), "to": Text(most=_NAME_CHARS, required=True)},
    name="TimeBody",
)


class DashboardBody(Body):
    """A dashboard; what is left out stays, or gets its default in a new one."""

    shown_only: ClassVar[tuple[str, ...]] = (
        "id",
        "uid",
        "owner_id",
        "owner",
        "created_at",
        "changed_at",
    )

    version = Whole(
        low=1, high=MAX_VERSION, metadata={"description": "The version that was changed."}
    )
    message = Text(most=MAX_MESSAGE_CHARS)
    title = Text(most=MAX_TITLE_CHARS, least=1, required=True)
    description = Text(most=MAX_DESCRIPTION_CHARS)
    tags = fields.List(Text(most=MAX_TAG_CHARS, least=1), validate=validate.Length(max=MAX_TAGS))
    folder = Text(most=_UID_CHARS, allow_none=True)
    public = Flag()
    time = fields.Nested(TimeBody)
    refresh = Text(most=_NAME_CHARS)
    variables = fields.List(
        fields.Nested(VariableBody), validate=validate.Length(max=MAX_VARIABLES)
    )
    panels = fields.List(fields.Nested(DashboardPanelBody))


class ImportBody(Body):
    """A Grafana dashboard, and how it is taken in."""

    dashboard = fields.Raw(required=True)
    inputs = fields.Raw(
        metadata={"description": "Values by name, or Grafana's list of {name, value}."}
    )
    overwrite = Flag()
    folder = Text(most=_UID_CHARS, allow_none=True)
    public = Flag()
    message = Text(most=MAX_MESSAGE_CHARS)


class RestoreBody(Body):
    """Which version comes back."""

    version = Whole(low=1, high=MAX_VERSION, required=True)
    message = Text(most=MAX_MESSAGE_CHARS)


class FolderBody(Body):
    """A folder."""

    uid = Text(most=_UID_CHARS, least=1)
    title = Text(most=MAX_TITLE_CHARS, least=1, required=True)
    parent = Text(most=_UID_CHARS, allow_none=True)


def read_inputs(sent: Any) -> Mapping[str, str] | None:
    """Return the values of inputs by name, or None where they have neither form."""
    if sent is None:
        return {}
    pairs = list(sent.items()) if isinstance(sent, dict) else list(_pairs(sent))
    fits = all(isinstance(one, str) for pair in pairs for one in pair)
    return dict(pairs) if fits and len(pairs) <= MAX_INPUTS else None


def _pairs(sent: Any) -> Iterator[tuple[Any, Any]]:
    for one in sent if isinstance(sent, list) else [None]:
        yield (one.get("name"), one.get("value")) if isinstance(one, dict) else (None, None)
