"""The examples of docs/background.md in real workers: jobs act for the person whose key they are given."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.servers.test_forking_servers import running
from tests.support.services import RedisServer
from tests.support.tiers import environment
from webex import Integration
from webex.emulator import Cloud
from webex.storage import SQLiteStorage

pytestmark = pytest.mark.servers
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = dict(re.findall(r"```py\n# (\w+\.py)\n(.*?)```", (ROOT / "docs" / "background.md").read_text(), flags=re.S))


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def people(webex_cloud: Cloud, tmp_path: Path) -> dict[str, str]:
    """The keys of two people who have signed in, and of one who has signed out again."""
    settings = {"scope": "openid spark:all", "redirect_uri": webex_cloud.env["WEBEX_REDIRECT_URI"]}
    app = {"client_id": webex_cloud.env["WEBEX_CLIENT_ID"], "client_secret": webex_cloud.env["WEBEX_CLIENT_SECRET"]}
    storage = SQLiteStorage(tmp_path / "webex.db")
    keys = {}
    with Integration(storage=storage, emulator_url=webex_cloud.url, **settings, **app) as integration:
        for name in ("alice", "bob", "admin"):
            login = integration.begin_login()
            back = urlsplit(webex_cloud.sign_in(login.url, as_=name))
            keys[name] = integration.finish_login(dict(parse_qsl(back.query)), browser=login.browser).user.key
        integration.sign_out(keys["admin"])
    for name, code in EXAMPLES.items():
        (tmp_path / name).write_text(code)
    return keys


@pytest.fixture
def variables(webex_cloud: Cloud, redis: RedisServer, people: dict[str, str], tmp_path: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WEBEX_", "CISCOSPARK_"))}
    more = {
        "WEBEX_SCOPE": "openid spark:all",
        "REDIS_URL": redis.url,
        "C_FORCE_ROOT": "1",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "src")]),
        "KEYS": " ".join(people.values()),
    }
    return {**inherited, **webex_cloud.env, **more}


def run(code: str, variables: dict[str, str], folder: Path) -> str:
    """Run code in the environment of the workers; what it prints."""
    command = [str(environment("servers")), "-c", code]
    ended = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


NAMES = ["Alice Example", "Bob Example", "signed out"]

SEND_TO_CELERY = """
import json, os
from jobs import integration, report
sent = [report.delay(key) for key in os.environ["KEYS"].split() * 3]
print(json.dumps([each.get(timeout=60) for each in sent]))
client = integration.user(os.environ["KEYS"].split()[0])
for serializer in ("pickle", "json"):
    try:
        report.apply_async([client], serializer=serializer)
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_celery_jobs_act_for_the_person_of_the_key(variables: dict[str, str], tmp_path: Path) -> None:
    command = [str(environment("servers")), "-m", "celery", "-A", "jobs", "worker", "--concurrency", "2"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
    with running(command, variables, tmp_path, lambda log: " ready." in log) as log:
        names, pickled, as_json = run(SEND_TO_CELERY, variables, tmp_path).splitlines()
    assert json.loads(names) == NAMES * 3, log()[-3000:]
    assert "Webex can't be pickled or copied" in pickled
    assert "Pass the token or the user's key" in pickled
    assert "Webex" in as_json


SEND_TO_RQ = """
import os
from redis import Redis
from rq import Queue
import rq_jobs
queue = Queue(connection=Redis.from_url(os.environ["REDIS_URL"]))
for key in os.environ["KEYS"].split():
    print(queue.enqueue(rq_jobs.report, key).id)
try:
    queue.enqueue(rq_jobs.report, rq_jobs.integration.user(key))
except TypeError as error:
    print(error)
"""
READ_FROM_RQ = """
import json, os, sys
from redis import Redis
from rq.job import Job
connection = Redis.from_url(os.environ["REDIS_URL"])
results = [Job.fetch(each, connection=connection).latest_result() for each in os.environ["JOBS"].split()]
print(json.dumps([each and (each.return_value or each.exc_string) for each in results]))
"""


def test_rq_jobs_act_for_the_person_of_the_key(variables: dict[str, str], tmp_path: Path) -> None:
    *jobs, refused = run(SEND_TO_RQ, variables, tmp_path).splitlines()
    assert "can't be pickled or copied" in refused
    assert "Pass the token or the user's key" in refused
    command = [str(environment("servers")), "-m", "rq.cli", "worker", "--burst", "--url", variables["REDIS_URL"]]
    ended = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    shown = run(READ_FROM_RQ, {**variables, "JOBS": " ".join(jobs)}, tmp_path)
    assert json.loads(shown) == NAMES, ended.stderr[-3000:]


def test_examples_are_the_two_of_the_page() -> None:
    assert sorted(EXAMPLES) == ["jobs.py", "rq_jobs.py"]
