"""JOSE as Webex speaks it."""
