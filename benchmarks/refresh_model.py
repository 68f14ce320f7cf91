"""Explore every interleaving of the workers that refresh one token, within larger bounds than the tests do.

`python -m benchmarks.refresh_model --minutes 30` prints a line for each scenario and fails when a promise is broken,
with the steps that lead there. A scenario that does not end within its share of the time is told as not complete.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys

from tests.auth.model_check.explorer import explore
from tests.auth.model_check.scenarios import LONG, SHORT


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refresh_model", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="for all scenarios together")
    parser.add_argument("--only", default="", help="those with this text in their name")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    random.uniform = lambda low, high: high  # type: ignore[method-assign,assignment]  # the same in each run
    scenarios = [each for each in (*SHORT, *LONG) if options.only in str(each)]
    left = options.minutes * 60
    broken = 0
    for number, scenario in enumerate(scenarios):
        found = explore(scenario, seconds=left / (len(scenarios) - number))
        left -= found.seconds
        broken += found.violation is not None
        print(found, flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
