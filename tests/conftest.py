"""What every test shares: tiers, and the scan of all output for secrets."""

pytest_plugins = ["tests.support.tiers", "tests.support.secret_scan"]
