"""Placeholder: its owner writes this docstring."""
