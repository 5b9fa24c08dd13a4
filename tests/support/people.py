"""Senders that tests use where it is not the point who they are."""

from __future__ import annotations

from dataclasses import replace

from tidegauge.auth.permissions import ALL_PERMISSIONS
from tidegauge.auth.principal import LOCAL

ALMIGHTY = replace(LOCAL, permissions=ALL_PERMISSIONS)
"""A program on this machine that may do everything."""
