"""The `Link` header (RFC 8288 §3): several links in one value, any order of parameters, odd characters in URLs."""

from __future__ import annotations

import re
from typing import Final

_LINK: Final = re.compile(
    r"<([^>]*)>((?:\s*;\s*[\w!#$%&'*+.^`|~-]+\*?\s*(?:=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s\",;]*))?)*)"
)
_PARAMETER: Final = re.compile(r";\s*([\w!#$%&'*+.^`|~-]+\*?)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\",;]*)))?")


def parse_link_header(value: str | None) -> dict[str, str]:
    """Relation → URL. A relation that occurs twice keeps its first URL; what is no link is passed over."""
    links: dict[str, str] = {}
    for match in _LINK.finditer(value or ""):
        url, parameters = match.group(1).strip(), match.group(2)
        relations = ""
        for parameter in _PARAMETER.finditer(parameters):
            if parameter.group(1).lower() == "rel":
                relations = parameter.group(2) if parameter.group(2) is not None else parameter.group(3) or ""
                break
        for relation in relations.lower().split():
            if url:
                links.setdefault(relation, url)
    if "prev" in links:
        links.setdefault("previous", links["prev"])
    return links
