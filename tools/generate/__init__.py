"""From OpenAPI to facts, and from facts to code. `python -m tools.generate --help` tells how."""
