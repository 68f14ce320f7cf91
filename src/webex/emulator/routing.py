"""A tree of paths: finding a handler costs one step for each part of the path, however many routes there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from webex.emulator.wire import Handler, Problem


@dataclass(slots=True)
class Route:
    """One method of one path."""

    method: str
    template: str
    handler: Handler
    names: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    fixed: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """Holds every route of the cloud. A service adds its own in its `routes(table)`."""

    def __init__(self) -> None:
        self._root = _Node()
        self.templates: list[tuple[str, str]] = []

    def add(self, method: str, template: str, handler: Handler) -> None:
        """Serve a path: `table.add("GET", "/v1/rooms/{roomId}", get_room)`. A trailing slash makes no difference."""
        node = self._root
        names: list[str] = []
        for part in _parts(template):
            if part.startswith("{") and part.endswith("}"):
                names.append(part[1:-1])
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.fixed.setdefault(part, _Node())
        if method in node.routes:
            raise ValueError(f"{method} {template} is served twice")
        node.routes[method] = Route(method, template, handler, tuple(names))
        self.templates.append((method, template))

    def match(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a request and the values in its path; `Problem` 404 or 405 when there is none."""
        found = _find(self._root, _parts(raw_path), 0, [])
        if found is None:
            raise Problem(404, "The requested resource could not be found.")
        node, values = found
        route = node.routes.get(method) or (node.routes.get("GET") if method == "HEAD" else None)
        if route is None:
            allowed = ", ".join(sorted(node.routes))
            raise Problem(405, f"The method {method} is not supported here.", headers={"allow": allowed})
        return route, dict(zip(route.names, values, strict=True))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _find(node: _Node, parts: list[str], at: int, values: list[str]) -> tuple[_Node, list[str]] | None:
    """Find a route; prefer a fixed name to a variable one without hiding it: `/people/me` and `/people/{id}`."""
    if at == len(parts):
        return (node, values) if node.routes else None
    part = unquote(parts[at])
    child = node.fixed.get(part)
    if child is not None:
        found = _find(child, parts, at + 1, values)
        if found is not None:
            return found
    if node.variable is not None:
        return _find(node.variable, parts, at + 1, [*values, part])
    return None
