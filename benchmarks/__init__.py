"""webex beside its peers, measured in one run against one sink. `scripts/bench` runs it."""
