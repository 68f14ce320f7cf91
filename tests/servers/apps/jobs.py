"""A Celery application over folders: each job makes both calls. Run as a script it sends jobs and prints what came."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from celery import Celery

FOLDER = Path(os.environ["CELERY_FOLDER"])
app = Celery("jobs", broker="filesystem://", backend=f"file://{FOLDER / 'results'}")
app.conf.broker_transport_options = {
    "data_folder_in": str(FOLDER / "queue"),
    "data_folder_out": str(FOLDER / "queue"),
    "control_folder": str(FOLDER / "control"),
}
app.conf.worker_prefetch_multiplier = 1

if "worker" in sys.argv:
    import shared  # in the parent of the pool, which forks afterwards


@app.task(name="blocking")
def blocking() -> dict[str, Any]:
    result = shared.blocking_calls()
    time.sleep(0.05)  # so that no process of the pool takes all of them
    return result


@app.task(name="event_loop")
def event_loop() -> dict[str, Any]:
    result = asyncio.run(shared.event_loop_calls())
    time.sleep(0.05)
    return result


if __name__ == "__main__":
    sent = [task.delay() for task in (blocking, event_loop) for _ in range(int(sys.argv[1]))]
    print(json.dumps([each.get(timeout=60) for each in sent]))
