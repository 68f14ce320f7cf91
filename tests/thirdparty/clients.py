"""Published clients in processes of their own, and how to talk to them."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any


class ClientError(Exception):
    """The client raised; `status` is the HTTP status that it tells, if it tells one."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['name']}: {error['text']}")
        self.name, self.status = error["name"], error["status"]


class Client:
    """Gives commands to a client's process; `client("send", roomId=..., text=...)` is the result as plain data."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("WEBEX_", "CISCOSPARK_"))}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=inherited | variables
        )

    def __call__(self, do: str, **parameters: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **parameters}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the client ended with status {self._process.wait(timeout=60)}"
        answer = json.loads(line)
        if "error" in answer:
            raise ClientError(answer["error"])
        return dict(answer["result"])

    def close(self) -> None:
        self._process.communicate(timeout=60)
