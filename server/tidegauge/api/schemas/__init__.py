"""The bodies that the API takes, as marshmallow schemas: they check, and they document.

- `fields`: text and numbers as bodies have them. `loading`: a body, checked.
- `dashboards`: dashboards, panels, folders.
"""

from __future__ import annotations
