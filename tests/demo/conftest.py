"""Browsers' addresses hold codes; what drives them here logs them at debug, as no browser does."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True)
def _quiet_browsers(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("urllib3", "selenium"):
        caplog.set_level(logging.INFO, logger=name)
    caplog.set_level(logging.WARNING, logger="selenium")
