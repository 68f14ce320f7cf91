"""The Conversation service: the same rooms and messages as REST, as encrypted activities."""
