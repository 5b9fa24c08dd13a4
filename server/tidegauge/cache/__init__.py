"""Keeps answers for a while, in Redis or inside the process; `query` enters."""

from __future__ import annotations
