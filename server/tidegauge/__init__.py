"""Tidegauge: metrics, dashboards and alerts in the PostgreSQL its users already run."""

from __future__ import annotations

__version__ = "0.1.0"
