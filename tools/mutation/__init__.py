"""Mutation testing: what `tools/mutate.py` is made of."""
