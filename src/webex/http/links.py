"""The `Link` header (RFC 8288 §3): several links in one value, any order of parameters, odd characters in URLs."""

from __future__ import annotations

from webex.http.header_values import list_parameters


def parse_link_header(value: str | None) -> dict[str, str]:
    """Relation → URL. A relation that occurs twice keeps its first URL; what is no link is passed over."""
    links: dict[str, str] = {}
    text, position = value or "", 0
    while (opened := text.find("<", position)) >= 0 and (closed := text.find(">", opened)) >= 0:
        url = text[opened + 1 : closed].strip()
        parameters, position = list_parameters(text, closed + 1)
        for relation in parameters.get("rel", "").lower().split():
            if url:
                links.setdefault(relation, url)
    if "prev" in links:
        links.setdefault("previous", links["prev"])
    return links
