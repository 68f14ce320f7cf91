"""Keep the former place of `webex.models.base` importable; models that 0.1.0 pickled name it."""

from webex.models.base import ABSENT, Model, Timestamp, _rebuilt, from_data, from_json, html_table, page_of, prepare

__all__ = ["ABSENT", "Model", "Timestamp", "_rebuilt", "from_data", "from_json", "html_table", "page_of", "prepare"]
