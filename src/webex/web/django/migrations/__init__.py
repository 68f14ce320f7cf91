"""The migrations of the app, which makes no table."""
