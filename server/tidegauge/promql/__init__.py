"""PromQL: text and arrays in, arrays out. No I/O, no clock, no settings.

- `lexer`, `parser`, `typecheck`, `printer`: text to syntax tree and back (`nodes` has the tree);
  `prettier` breaks long expressions into lines.
  Parts of the lexer: `tokens`, `lexer_numbers`, `lexer_strings`, `runes`; of the parser:
  `parser_cursor`, `parser_expressions`, `parser_selectors`, `parser_suffixes`,
  `parser_matching`, `parser_durations`, `parser_literals`; `parse_error` is what both raise.
- `narrowing`: the selectors of a tree, found, rewritten, or with further matchers.
- `quoting`, `durations`: strings, numbers and durations as Go and Prometheus spell them.
- `expansion`: the replacements of regular expressions, as Go has them.
- `signatures`: what functions and aggregators exist, and the types of their arguments.
- `reader`: the small protocol through which the engine asks for samples.
- `value`: what an evaluation gives back.
- `engine`: evaluates a tree over a time grid; `kernels` has its array functions.
- `native`: what is done with native histograms, one or two at a time.
- `scripts`: runs Prometheus's evaluation scripts (`tidegauge promqltest`).

`query` evaluates, the routes write values out, `cli` runs scripts; no storage is known here.

Source: promql.md in the design notes; Prometheus 3.14.
"""

from __future__ import annotations
