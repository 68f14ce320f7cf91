"""What every test shares: tiers, the scan of all output for secrets, a cloud for apps, and unhurried property tests."""

pytest_plugins = [
    "tests.support.tiers",
    "tests.support.secret_scan",
    "tests.support.clouds",
    "tests.support.process_state",
    "tests.support.property_tests",
]
