"""The long runs in a short form."""
