"""slack_sdk's stores of installations at the work of a storage: sign-ins, and the mixed calls of the people signed in.

Run as `python slack_stores.py STORE SIGN_INS PEOPLE CALLS`, in an environment with slack_sdk; prints one line of JSON.
STORE is `file`, `sqlite` or the URL of a database. A sign-in issues and consumes a state and saves an installation; a
call finds the installation of one person, and each tenth saves it anew, as after a refresh.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy
from lines import resident_bytes
from slack_sdk.oauth.installation_store import FileInstallationStore, Installation
from slack_sdk.oauth.installation_store.sqlalchemy import SQLAlchemyInstallationStore
from slack_sdk.oauth.state_store import FileOAuthStateStore
from slack_sdk.oauth.state_store.sqlalchemy import SQLAlchemyOAuthStateStore

QUIET = logging.getLogger("quiet")


def stores(named: str, folder: Path) -> tuple[Any, Any, Any]:
    """The stores of installations and states, and what drops them."""
    if named == "file":
        installations: Any = FileInstallationStore(
            base_dir=str(folder), historical_data_enabled=False, client_id="client", logger=QUIET
        )
        return installations, FileOAuthStateStore(expiration_seconds=600, base_dir=str(folder / "states")), lambda: None
    engine = sqlalchemy.create_engine(f"sqlite:///{folder / 'slack.db'}" if named == "sqlite" else named)
    installations = SQLAlchemyInstallationStore(client_id="client", engine=engine, logger=QUIET)
    states = SQLAlchemyOAuthStateStore(expiration_seconds=600, engine=engine, logger=QUIET)

    def drop() -> None:
        states.metadata.drop_all(engine)
        installations.metadata.drop_all(engine)

    drop()
    installations.metadata.create_all(engine)
    states.metadata.create_all(engine)
    return installations, states, drop


def installation(number: int, version: int = 0) -> Installation:
    """One person's tokens, as long as the columns of the database hold."""
    return Installation(
        app_id="A1",
        team_id=f"T{number}",
        user_id=f"U{number}",
        bot_token=f"{version}-" + "x" * 180,
        bot_id="B1",
        bot_user_id="U0",
        bot_refresh_token="y" * 190,
        bot_token_expires_at=1_900_000_000,
        user_token=f"{version}-" + "x" * 180,
        user_refresh_token="y" * 190,
        user_token_expires_at=1_900_000_000,
    )


def main() -> None:
    named, sign_ins, people, calls = sys.argv[1], *map(int, sys.argv[2:])
    with tempfile.TemporaryDirectory() as folder:
        installations, states, drop = stores(named, Path(folder))
        try:
            print(json.dumps(measured(installations, states, sign_ins, people, calls)))
        finally:
            drop()


def measured(installations: Any, states: Any, sign_ins: int, people: int, calls: int) -> dict[str, float]:
    memory = resident_bytes()
    began = time.perf_counter()
    for number in range(sign_ins):
        assert states.consume(states.issue())
        installations.save(installation(number))
    took = time.perf_counter() - began
    for number in range(sign_ins, people):
        installations.save(installation(number))
    chance = random.Random(1)
    times = []
    for call in range(calls):
        number = chance.randrange(people)
        before = time.perf_counter()
        found = installations.find_installation(enterprise_id=None, team_id=f"T{number}", user_id=f"U{number}")
        assert found is not None
        if call % 10 == 0:
            installations.save(installation(number, call))
        times.append(time.perf_counter() - before)
    times.sort()
    grown = resident_bytes() - memory
    return {
        "sign_ins": sign_ins / took,
        "calls": calls / sum(times),
        "p50": times[len(times) // 2],
        "p99": times[round(len(times) * 0.99) - 1],
        "memory": grown / people,
    }


if __name__ == "__main__":
    main()
