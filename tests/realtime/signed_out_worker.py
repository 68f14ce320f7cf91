"""A process that listens for a stored user and says with which error that ended."""

from __future__ import annotations

import asyncio
import sys

from webex import AsyncIntegration, WebexError
from webex.emulator import accounts
from webex.storage import SQLiteStorage


async def main(url: str, path: str, key: str) -> None:
    integration = AsyncIntegration(
        storage=SQLiteStorage(path),
        client_id=accounts.CLIENT_ID,
        client_secret=accounts.CLIENT_SECRET,
        emulator_url=url,
        credential_max_age=0.5,
    )
    async with integration, integration.user(key).messages.listen(first_pause=0.05) as events:
        print("listening", flush=True)
        try:
            async for _ in events:
                pass
        except WebexError as error:
            print(type(error).__name__, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
