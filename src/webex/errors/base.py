"""The root of the tree, and what a wrong setting raises."""

from __future__ import annotations


class WebexError(Exception):
    """Whatever the SDK raises on purpose."""


class ConfigurationError(WebexError):
    """A setting is missing, wrong or contradicts another; says which, where it was looked for and how to set it."""
