"""Templates of labels and annotations, in Prometheus's language, which is Go's `text/template`.

- `expand`: the way in: checks and expands a template; `errors`: what is wrong with one.
- `lexer`, `parser`, `nodes`: from text to a tree.
- `execution`: walks the tree, within bounds of steps, time and size.
- `functions`, `comparing`, `humanizing`, `printing`: what templates call.
- `values`: what they work with.

Whoever may write rules may write templates, so nothing here can reach beyond the data that it is
given: fields are those of records and maps, never attributes of Python's.
"""

from __future__ import annotations
