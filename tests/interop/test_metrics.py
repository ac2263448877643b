"""The metrics as a Prometheus client reads them."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from grpcurl import CREATE, Grpcurl
from programs import TIMEOUT

METHOD = "faceliveness.v1.FaceLivenessService/CreateSession"


def scrape(gateway):
    """The families by their names."""
    with urllib.request.urlopen(f"{gateway.admin}metrics", timeout=TIMEOUT) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(family, suffix="", **labels):
    """The sum of the samples with these labels."""
    samples = (each for each in family.samples if each.name == family.name + suffix)
    return sum(each.value for each in samples if labels.items() <= each.labels.items())


def test_a_scrape_is_what_a_prometheus_client_understands(gateway, emulator):
    grpcurl = Grpcurl(gateway.address)
    for token in ("one", "one", "two"):
        grpcurl.call(CREATE, {"client_request_token": token})
    emulator.break_with("access-denied", times=1)
    grpcurl.refusal()
    families = scrape(gateway)

    calls = families["rpc_server_call_duration_seconds"]
    assert calls.type == "histogram"
    ok = {"rpc_method": METHOD, "rpc_response_status_code": "OK"}
    assert value(calls, "_count", **ok) == 3
    assert value(calls, "_bucket", **ok, le="+Inf") == 3
    assert value(families["face_liveness_sessions"], "_total", region="us-east-1") == 2
    refusals = families["face_liveness_refusals"]
    assert refusals.type == "counter"
    assert value(refusals, "_total", reason="UPSTREAM_ACCESS_DENIED") == 1
    assert value(families["face_liveness_build_info"]) == 1
    assert value(families["process_resident_memory_bytes"]) > 0


def test_every_family_is_told_once_and_with_its_meaning(gateway):
    Grpcurl(gateway.address).call()
    families = scrape(gateway)
    assert len(families) > 20
    for family in families.values():
        assert family.type in ("counter", "gauge", "histogram"), family.name
        assert family.documentation, family.name
        series = [(each.name, frozenset(each.labels.items())) for each in family.samples]
        assert len(series) == len(set(series)), family.name
