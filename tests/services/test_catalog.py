"""The service catalog: which host a service has, and in which cluster its things are named."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webex.errors import ConfigurationError, DecodeError
from webex.services.catalog import (
    Catalog,
    email_hash,
    fetch_catalog,
    fetch_limited_catalog,
    fetch_region,
    public_cluster,
)

HOSTMAP = json.loads((Path(__file__).parents[1] / "vectors" / "u2c-hostmap.json").read_text())


@pytest.fixture
def catalog() -> Catalog:
    return Catalog.from_hostmap(HOSTMAP["catalog_response"])


def host(name: str, priority: Any = 1, id: Any = "urn:TEAM:us-east-2_a:wdm") -> dict[str, Any]:
    return {"host": name, "ttl": -1, "priority": priority, "id": id}


def one_service(*hosts: Any, link: str = "https://a.example.com/wdm/api/v1") -> Catalog:
    return Catalog.from_hostmap({"serviceLinks": {"wdm": link}, "hostCatalog": {"a.example.com": list(hosts)}})


def test_services_by_priority_are_those_of_the_js_sdk(catalog: Catalog) -> None:
    assert HOSTMAP["priority_url"] != HOSTMAP["default_url"]
    for service, url in HOSTMAP["priority_url"].items():
        assert catalog.url_of(service) == url.rstrip("/")


def test_links_are_those_of_the_js_sdk(catalog: Catalog) -> None:
    assert dict(catalog.links) == {service: url.rstrip("/") for service, url in HOSTMAP["default_url"].items()}


def test_a_failed_host_is_skipped(catalog: Catalog) -> None:
    recorded = HOSTMAP["after_marking_a_host_failed"]
    assert catalog.url_of("conversation") == recorded["before"]
    catalog.mark_failed(recorded["before"] + "/conversations/x")
    assert catalog.url_of("conversation") == recorded["after"]


def test_all_hosts_are_retried_after_all_failed(catalog: Catalog) -> None:
    recorded = HOSTMAP["after_marking_a_host_failed"]
    for name in ("before", "after"):
        catalog.mark_failed(recorded[name])
    assert catalog.url_of("conversation") == recorded["before"]
    assert catalog.url_of("conversation") == recorded["before"]


def test_the_only_host_is_kept_after_a_failure(catalog: Catalog) -> None:
    for _ in range(2):
        catalog.mark_failed(catalog.url_of("encryption"))
    assert catalog.url_of("encryption") == HOSTMAP["default_url"]["encryption"]


@pytest.mark.parametrize("url", ["", "nonsense", "https://[", "https://h:99999/", "/relative"])
def test_an_invalid_url_is_ignored(catalog: Catalog, url: str) -> None:
    catalog.mark_failed(url)
    assert catalog.cluster_of(url) == "us"


@pytest.mark.parametrize("priority", [0, -1, None, "high", True])
def test_a_host_without_positive_priority_is_not_chosen(priority: Any) -> None:
    assert one_service(host("b.example.com", priority)).url_of("wdm") == "https://a.example.com/wdm/api/v1"
    other = one_service(host("b.example.com", priority), host("c.example.com", 7))
    assert other.url_of("wdm") == "https://c.example.com/wdm/api/v1"


def test_a_host_of_another_service_is_not_chosen() -> None:
    mixed = one_service(host("a.example.com", 5), host("b.example.com", 1, "urn:TEAM:us-east-2_a:locus"))
    assert mixed.url_of("wdm") == "https://a.example.com/wdm/api/v1"


def test_a_port_is_kept() -> None:
    link = "http://a.example.com:8443/wdm"
    assert one_service(host("b.example.com"), link=link).url_of("wdm") == "http://b.example.com:8443/wdm"
    with_port = Catalog.from_hostmap(
        {"serviceLinks": {"wdm": link}, "hostCatalog": {"a.example.com:8443": [host("c.example.com")]}}
    )
    assert with_port.url_of("wdm") == "http://c.example.com:8443/wdm"
    with_port.mark_failed(with_port.url_of("wdm"))
    assert with_port.cluster_of("http://a.example.com:8443/x") == "us"


def test_a_missing_service_is_named(catalog: Catalog) -> None:
    with pytest.raises(ConfigurationError, match="nosuchservice"):
        catalog.url_of("nosuchservice")


def test_clusters_of_urls_are_those_of_the_js_sdk(catalog: Catalog) -> None:
    for url, cluster in HOSTMAP["cluster_id_of_url"].items():
        assert catalog.cluster_of(url) == ("us" if cluster is None else public_cluster(cluster))
    assert catalog.cluster_of("https://conv-k.example.com/x") == "urn:TEAM:eu-central-1_k"
    assert catalog.cluster_of("https://CONV-K.example.com/x") == "urn:TEAM:eu-central-1_k"


@pytest.mark.parametrize(
    ("cluster_id", "cluster"),
    [
        ("urn:TEAM:us-east-2_a:conversation", "us"),
        ("urn:TEAM:us-east-1_int13:conversation", "us"),
        ("urn:TEAM:eu-central-1_k:identityLookup", "urn:TEAM:eu-central-1_k"),
        ("urn:TEAM:us-west-2_r", "urn:TEAM:us-west-2_r"),
        ("", "us"),
        ("a:b", "us"),
        ("::", "us"),
    ],
)
def test_cluster_names_of_public_ids(cluster_id: str, cluster: str) -> None:
    assert public_cluster(cluster_id) == cluster


@pytest.mark.parametrize("answer", [None, [], "text", {}, {"serviceLinks": []}, {"serviceLinks": None}])
def test_an_invalid_catalog_is_a_decode_error(answer: Any) -> None:
    with pytest.raises(DecodeError):
        Catalog.from_hostmap(answer)


@pytest.mark.parametrize(
    "entries", [None, 5, "text", {}, [None], [{}], [{"host": None}], [{"host": 5}], [{"host": "b.example.com"}]]
)
def test_a_malformed_host_list_keeps_the_link(entries: Any) -> None:
    answer = {"serviceLinks": {"wdm": "https://a.example.com/wdm"}, "hostCatalog": {"a.example.com": entries}}
    assert Catalog.from_hostmap(answer).url_of("wdm") == "https://a.example.com/wdm"


def test_a_non_text_host_id_has_no_cluster() -> None:
    assert one_service(host("a.example.com", 1, None)).cluster_of("https://a.example.com/x") == "us"


def test_an_invalid_service_link_is_left_out() -> None:
    answer = {"serviceLinks": {"a": "https://[", "b": None, "c": "https://c.example.com/", "d": ""}}
    assert dict(Catalog.from_hostmap(answer).links) == {"c": "https://c.example.com"}


def test_the_hash_of_an_address() -> None:
    recorded = HOSTMAP["emailhash"]
    assert email_hash(recorded["email"]) == recorded["emailhash"]
    assert email_hash(f" {recorded['email'].upper()} ") == recorded["emailhash"]


HOSTS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(-2, 5)), max_size=6, unique_by=lambda pair: pair[0])


@given(HOSTS, st.lists(st.sampled_from("abcdef"), max_size=12))
def test_the_best_host_that_has_not_failed_is_chosen(hosts: list[tuple[str, int]], failures: list[str]) -> None:
    catalog = one_service(*(host(f"{name}.example.com", priority) for name, priority in hosts))
    usable = {name: priority for name, priority in hosts if priority > 0}
    failed: set[str] = set()
    for name in failures:
        failed.add(name)
        catalog.mark_failed(f"https://{name}.example.com/wdm")
        if not usable.keys() - failed:
            failed -= usable.keys()
        alive = [usable[other] for other in usable if other not in failed]
        chosen = catalog.url_of("wdm").removeprefix("https://")[0]
        assert (usable[chosen] == min(alive)) if alive else (chosen == "a")


# Fetching it


class Pipeline:
    """Notes what is sent, and answers with the recorded catalog."""

    def __init__(self, body: Any = HOSTMAP["catalog_response"]) -> None:
        self.body = body
        self.request: Any = None
        self.tokens: Any = None

    async def send(self, request: Any, tokens: Any = None) -> Any:
        self.request, self.tokens = request, tokens
        return self

    def json(self) -> Any:
        return self.body


def test_a_persons_catalog_is_requested_with_the_token() -> None:
    pipeline: Any = Pipeline()
    tokens: Any = object()
    catalog = asyncio.run(fetch_catalog(pipeline, tokens))
    assert catalog.url_of("wdm") == HOSTMAP["priority_url"]["wdm"]
    assert (pipeline.request.method, pipeline.request.service, pipeline.request.url) == ("GET", "u2c", "/catalog")
    assert pipeline.request.params == {"format": "hostmap"}
    assert pipeline.tokens is tokens


@pytest.mark.parametrize(
    ("given", "selector"),
    [
        ({"email": HOSTMAP["emailhash"]["email"]}, {"emailhash": HOSTMAP["emailhash"]["emailhash"]}),
        ({"user_id": "u"}, {"userId": "u"}),
        ({"org_id": "o"}, {"orgId": "o"}),
        ({}, {"mode": "DEFAULT_BY_PROXIMITY"}),
    ],
)
def test_the_limited_catalog_is_requested_without_a_token(given: dict[str, str], selector: dict[str, str]) -> None:
    pipeline: Any = Pipeline()
    asyncio.run(fetch_limited_catalog(pipeline, **given))
    assert pipeline.request.url == "/limited/catalog"
    assert pipeline.request.params == {"format": "hostmap", **selector}
    assert pipeline.request.auth == "none"
    assert pipeline.tokens is None


def test_the_limited_catalog_requires_one_selector() -> None:
    pipeline: Any = Pipeline()
    with pytest.raises(ConfigurationError):
        asyncio.run(fetch_limited_catalog(pipeline, user_id="u", org_id="o"))
    assert pipeline.request is None


@pytest.mark.parametrize(("body", "region"), [({"countryCode": "CH"}, {"countryCode": "CH"}), ([], {}), (None, {})])
def test_the_region_is_requested_without_a_token(body: Any, region: dict[str, str]) -> None:
    pipeline: Any = Pipeline(body)
    assert asyncio.run(fetch_region(pipeline)) == region
    assert pipeline.request.auth == "none"
