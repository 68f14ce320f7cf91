"""What every test shares: tiers, the scan of all output for secrets, and a cloud for apps."""

pytest_plugins = [
    "tests.support.tiers",
    "tests.support.secret_scan",
    "tests.support.clouds",
    "tests.support.process_state",
]
