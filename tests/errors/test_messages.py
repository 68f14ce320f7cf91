"""Errors and events as text: one line, whatever others have put into their values."""

from __future__ import annotations

import pytest

from webex.errors import ApiError, InvalidGrantError
from webex.errors.base import one_line
from webex.telemetry import Connected, TokenRefreshRefused

FORGED = "x\n2026-01-01 ERROR forged\r\x1b[2J\x85\u2028\ud800"


@pytest.mark.parametrize(
    "made",
    [
        ApiError(FORGED, status=400, errors=[FORGED]),
        InvalidGrantError(FORGED, FORGED, FORGED),
        TokenRefreshRefused(FORGED, "refused"),
        Connected(FORGED, again=False),
    ],
    ids=lambda each: type(each).__name__,
)
def test_text_of_others_adds_no_line_to_a_log(made: object) -> None:
    assert str(made).isprintable()
    assert "x\\n2026" in str(made)


def test_letters_of_every_script_and_joined_emoji_stay() -> None:
    assert one_line("Zoë 山田 👩\u200d👧 \xa0é") == "Zoë 山田 👩\u200d👧 \xa0é"
