"""A logger that never writes, for libraries that would log tokens.

A disabled logger of the registry is not enough: `logging.config.dictConfig`, which Django calls, enables it again.
"""

from __future__ import annotations

import logging
from typing import Final

QUIET: Final = logging.Logger("tests.quiet", level=logging.CRITICAL + 1)  # noqa: LOG001  # as said above
