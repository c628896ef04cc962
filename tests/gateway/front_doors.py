"""The events of every front door, as AWS sends them, with one request in each."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote

from functions.gateway.json_text import Json

API_DOMAIN = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
URL_DOMAIN = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws"
OWN_DOMAIN = "api.example.com"
BALANCER = "lb-1234567890.eu-west-1.elb.amazonaws.com"

Lines = dict[str, str]


def payload_2(verb: str, path: str, lines: Lines, body: str, *, domain: str, raw: str, stage: str) -> Json:
    """Payload 2.0. `raw` is the path with the stage, as API Gateway sends it."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw,
        "rawQueryString": "limit=1&q=a%20b",
        "cookies": ["a=1", "b=2"],
        "headers": {"host": domain, "x-forwarded-proto": "https", "x-forwarded-port": "443", **lines},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": domain.split(".", maxsplit=1)[0],
            "domainName": domain,
            "http": {"method": verb, "path": raw, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7"},
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": stage,
            "timeEpoch": 1795262400000,
        },
        "body": base64.b64encode(body.encode()).decode(),
        "isBase64Encoded": True,
    }


def function_url(verb: str, path: str, lines: Lines, body: str) -> Json:
    return payload_2(verb, path, lines, body, domain=URL_DOMAIN, raw=path, stage="$default")


def http_api(verb: str, path: str, lines: Lines, body: str) -> Json:
    return payload_2(verb, path, lines, body, domain=API_DOMAIN, raw=path, stage="$default")


def http_api_stage(verb: str, path: str, lines: Lines, body: str) -> Json:
    return payload_2(verb, path, lines, body, domain=API_DOMAIN, raw=f"/prod{path}", stage="prod")


def http_api_own_domain(verb: str, path: str, lines: Lines, body: str) -> Json:
    """Below a custom domain, the path has the stage, and the key of the API mapping is nowhere."""
    return payload_2(verb, path, lines, body, domain=OWN_DOMAIN, raw=f"/prod{path}", stage="prod")


def http_api_base_path(verb: str, path: str, lines: Lines, body: str) -> Json:
    return payload_2(verb, path, lines, body, domain=API_DOMAIN, raw=f"/tools{path}", stage="$default")


def payload_1(verb: str, path: str, lines: Lines, body: str, *, domain: str, sent: str, public: str) -> Json:
    """Payload 1.0 of a REST API with a greedy route."""
    lines = {"Host": domain, "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443", **lines}
    return {
        "resource": "/{proxy+}",
        "path": sent,
        "httpMethod": verb,
        "headers": lines,
        "multiValueHeaders": {name: [value] for name, value in lines.items()},
        "queryStringParameters": {"limit": "1", "q": "a b"},
        "multiValueQueryStringParameters": {"limit": ["1"], "q": ["a b"]},
        "pathParameters": {"proxy": path[1:]},
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "httpMethod": verb,
            "path": public,
            "stage": "prod",
            "domainName": domain,
            "identity": {"sourceIp": "203.0.113.7"},
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        },
        "body": body,
        "isBase64Encoded": False,
    }


def rest_api(verb: str, path: str, lines: Lines, body: str) -> Json:
    return payload_1(verb, path, lines, body, domain=API_DOMAIN, sent=path, public=f"/prod{path}")


def rest_api_own_domain(verb: str, path: str, lines: Lines, body: str) -> Json:
    return payload_1(verb, path, lines, body, domain=OWN_DOMAIN, sent=f"/v1{path}", public=f"/v1{path}")


def http_api_payload_1(verb: str, path: str, lines: Lines, body: str) -> Json:
    event = payload_1(verb, path, lines, body, domain=API_DOMAIN, sent=f"/prod{path}", public=f"/prod{path}")
    return {**event, "version": "1.0", "resource": "$default", "pathParameters": None}


def balancer(verb: str, path: str, lines: Lines, body: str) -> Json:
    lines = {"host": BALANCER, "x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.1, 203.0.113.7", **lines}
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/x/1"}},
        "httpMethod": verb,
        "path": quote(f"/tools{path}"),
        "queryStringParameters": {"limit": "1", "q": "a%20b"},
        "headers": lines,
        "body": body,
        "isBase64Encoded": False,
    }  # fmt: skip


def balancer_multi(verb: str, path: str, lines: Lines, body: str) -> Json:
    event = balancer(verb, path, lines, body)
    event["multiValueHeaders"] = {name: [value] for name, value in event.pop("headers").items()}
    event["multiValueQueryStringParameters"] = {n: [v] for n, v in event.pop("queryStringParameters").items()}
    return event


DOORS: dict[str, tuple[Callable[..., Json], str]] = {
    "function URL": (function_url, URL_DOMAIN),
    "HTTP API": (http_api, API_DOMAIN),
    "HTTP API with a stage": (http_api_stage, f"{API_DOMAIN}/prod"),
    "HTTP API below a custom domain": (http_api_own_domain, OWN_DOMAIN),
    "HTTP API with a base path": (http_api_base_path, f"{API_DOMAIN}/tools"),
    "HTTP API with payload 1.0": (http_api_payload_1, f"{API_DOMAIN}/prod"),
    "REST API": (rest_api, f"{API_DOMAIN}/prod"),
    "REST API below a custom domain": (rest_api_own_domain, f"{OWN_DOMAIN}/v1"),
    "load balancer": (balancer, f"{BALANCER}/tools"),
    "load balancer with several values": (balancer_multi, f"{BALANCER}/tools"),
}
"""Front door -> its event, and the public address that an application behind it has, with POSTERN_BASE_PATH=/tools."""

NO_REQUESTS: dict[str, Json] = {
    "nothing": None,
    "a text": "warm-up",
    "a list": [1],
    "an empty object": {},
    "the console's test": {"key1": "value1", "key2": "value2", "key3": "value3"},
    "a warm-up plugin": {"source": "serverless-plugin-warmup"},
    "a schedule": {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "resources": ["arn:aws:events:eu-west-1:123456789012:rule/warm"],
        "detail": {},
    },
    "a queue": {"Records": [{"messageId": "1", "body": "x", "eventSource": "aws:sqs"}]},
    "a web socket": {"requestContext": {"routeKey": "$connect", "connectionId": "L0SM9cOFvHcCIhw="}},
    "a context of another type": {"requestContext": "x", "httpMethod": "GET", "path": "/"},
    "a request without a path": {"requestContext": {"http": {"method": "GET"}}},
}
"""Events that hold no HTTP request."""
