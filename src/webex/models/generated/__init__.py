"""Models made of the descriptions of the APIs, one module for each description."""
