"""Which URL a service has, and which hosts may receive a token."""

from webex.services.hosts import Services

__all__ = ["Services"]
