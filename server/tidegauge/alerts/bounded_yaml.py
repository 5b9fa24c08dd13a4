"""YAML whose cost is bounded by its length: a few lines cannot stand for a billion."""

from __future__ import annotations

import yaml

MAX_MERGED = 100_000
"""Most fields that the `<<` of one document may copy from one map into others, in all."""


class BoundedLoader(yaml.SafeLoader):  # type: ignore[misc]
    """A safe loader that refuses merges of merges of merges."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put fields that a map takes over by `<<` into it.

        Raises:
            yaml.YAMLError: there are too many.
        """
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                continue
            for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if isinstance(one, yaml.MappingNode):
                    self.flatten_mapping(one)
                    self._merged += len(one.value)
                    if self._merged > MAX_MERGED:
                        raise yaml.constructor.ConstructorError(
                            "while constructing a mapping",
                            node.start_mark,
                            f"its << copy more than {MAX_MERGED} fields",
                            value.start_mark,
                        )
        super().flatten_mapping(node)
