"""A mark on the time axis, and what is asked for when marks are listed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Annotation:
    """A mark on the time axis: a moment or a span.

    Args:
        time_ms: when it begins, Unix ms.
        time_end_ms: when it ends; None for a moment.
        title, text: what people read; one of them is not empty.
        tags: sorted, each once.
        dashboard_id: the one dashboard that it is for; None: for all.
        panel_id: the one panel of that dashboard.
        owner_id: the account that set it; None: nobody's.
        id: 0 before it is stored.
        created_ms: when it was stored; 0 before that.
    """

    time_ms: int
    time_end_ms: int | None = None
    title: str = ""
    text: str = ""
    tags: tuple[str, ...] = ()
    dashboard_id: int | None = None
    panel_id: int | None = None
    owner_id: int | None = None
    id: int = 0
    created_ms: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in a listing, which goes from the newest to the oldest."""
        return self.time_ms, self.id


@dataclass(frozen=True, slots=True)
class AnnotationQuery:
    """Which annotations to list.

    Args:
        limit: at most so many, the newest; at least 1.
        start_ms, end_ms: only those that touch this range; None where it is open.
        tags: only those with all of these, or with any of them if `any_tag`.
        dashboard_id: only those for this dashboard; None: for whichever.
        or_for_all: those for all dashboards besides; without a dashboard, only those.
        panel_id: only those for this panel.
        before: only those behind this place, to turn the page.
    """

    limit: int
    start_ms: int | None = None
    end_ms: int | None = None
    tags: tuple[str, ...] = ()
    any_tag: bool = False
    dashboard_id: int | None = None
    or_for_all: bool = False
    panel_id: int | None = None
    before: tuple[int, int] | None = None
