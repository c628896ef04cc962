"""What the template promises, read from the template itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from dataclasses import fields
from typing import Any

import pytest

from functions.gateway.doorway import SECRET_HEADER
from functions.gateway.json_text import Json
from functions.gateway.metrics import UNITS
from functions.gateway.settings import Settings
from functions.gateway.trace_context import SAMPLERS
from functions.gateway.trace_settings import TraceSettings
from functions.gateway.tracing import KIND
from functions.trace_exporter.exporter import LONGEST_SECONDS
from tests.infra import template

RESOURCES: dict[str, Json] = template.load()["Resources"]
PARAMETERS: dict[str, Json] = template.load()["Parameters"]
FUNCTIONS = {name: entry for name, entry in RESOURCES.items() if entry["Type"] == "AWS::Serverless::Function"}
VARIABLES = {f"POSTERN_{setting.name.upper()}" for setting in fields(Settings)}
OF_TRACES = {
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"),
    *("POSTERN_TRACE_UPSTREAMS", "POSTERN_TRACE_HEADERS_SECRET_ID", "OTEL_EXPORTER_OTLP_COMPRESSION"),
}
"""Variables of functions/gateway/trace_settings.py that the template sets."""


def variables(function: str) -> dict[str, Json]:
    """Environment variables of a function, the common ones included."""
    common = template.load()["Globals"]["Function"]["Environment"]["Variables"]
    own = FUNCTIONS[function]["Properties"].get("Environment", {}).get("Variables", {})
    return {**common, **own}


def test_every_variable_is_a_setting_and_the_data_plane_knows_of_no_key_secret_or_schedule() -> None:
    for function in FUNCTIONS:
        assert set(variables(function)) <= VARIABLES | OF_TRACES
    assert set(variables("AdminApi")) - set(variables("McpEndpoint")) == {
        "POSTERN_KMS_KEY_ID",
        "POSTERN_ROOT_API_TOKEN_SECRET",
        "POSTERN_SCHEDULE_GROUP",
        "POSTERN_SCHEDULE_ROLE_ARN",
        "POSTERN_PURGE_FUNCTION_ARN",
        "POSTERN_OIDC_ISSUER",
        "POSTERN_OIDC_CLIENT_ID",
        "POSTERN_OIDC_CLIENT_SECRET_ID",
        "POSTERN_OIDC_PEOPLE",
        "POSTERN_MANAGEMENT_NETWORKS",
    }
    assert not {"POSTERN_PRIVATE_UPSTREAMS", "POSTERN_STATE_DIR"} & set(variables("AdminApi"))


def test_the_functions_are_five_on_arm64_and_python_3_13_with_handlers_that_exist() -> None:
    common = template.load()["Globals"]["Function"]
    assert (common["Runtime"], common["Architectures"]) == ("python3.13", ["arm64"])
    assert common["LoggingConfig"]["LogFormat"] == "JSON"
    handlers = {entry["Properties"]["Handler"] for entry in FUNCTIONS.values()}
    assert handlers == {
        f"functions.{name}.handler.handler"
        for name in ("mcp_endpoint", "admin_api", "purge", "log_subscriber", "trace_exporter")
    }
    recipe = (template.ROOT / "infra" / "package" / "Makefile").read_text()
    for function, entry in FUNCTIONS.items():
        assert entry["Metadata"]["BuildMethod"] == "makefile"
        room = entry["Properties"]["Handler"].split(".")[1]
        assert f"build-{function}:\n\t$(BUILDER) $(ROOT)/infra/package/build.py {room} $(ARTIFACTS_DIR)\n" in recipe


def test_only_two_functions_are_public_and_only_by_their_urls() -> None:
    public = {name for name, entry in FUNCTIONS.items() if "FunctionUrlConfig" in entry["Properties"]}
    assert public == {"McpEndpoint", "AdminApi"}
    started = {
        name: [event["Type"] for event in entry["Properties"]["Events"].values()]
        for name, entry in FUNCTIONS.items()
        if "Events" in entry["Properties"]
    }
    assert started == {"LogSubscriber": ["CloudWatchLogs"], "TraceExporter": ["CloudWatchLogs"]}
    assert not any(entry["Type"] == "AWS::Lambda::Permission" for entry in RESOURCES.values())


def test_each_line_of_a_call_is_delivered_and_what_fails_is_kept() -> None:
    subscriber = FUNCTIONS["LogSubscriber"]["Properties"]
    assert subscriber["Events"]["Lines"]["Properties"] == {
        "LogGroupName": {"Ref": "McpEndpointLog"},
        "FilterPattern": '{ $.kind = "call" }',
    }
    assert subscriber["DeadLetterQueue"]["TargetArn"] == {"Fn::GetAtt": "LogDeadLetters.Arn"}
    assert not any(
        pattern.startswith(("LOG#", "USE#", "STATE#"))
        for statement in template.statements(template.load(), "McpEndpointRole")
        for pattern in statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", [])
    )


def test_traces_are_optional_and_their_function_may_send_log_and_read_one_secret() -> None:
    """Without TraceEndpoint there is no resource for traces, and the data plane finds an empty variable."""
    mine = {name for name, entry in RESOURCES.items() if entry.get("Condition") in ("HasTraces", "HasTraceHeaders")}
    assert mine == {
        *("TraceExporter", "TraceExporterRole", "TraceExporterLog", "TraceDeadLetters", "TraceHeadersPolicy"),
        *("SpansLost", "SpansUndelivered"),
    }
    assert PARAMETERS["TraceEndpoint"]["Default"] == PARAMETERS["TraceUpstreams"]["Default"] == ""
    exporter = FUNCTIONS["TraceExporter"]["Properties"]
    assert exporter["Events"]["Lines"]["Properties"] == {
        "LogGroupName": {"Ref": "McpEndpointLog"},
        "FilterPattern": f'{{ $.kind = "{KIND}" }}',
    }
    assert exporter["DeadLetterQueue"]["TargetArn"] == {"Fn::GetAtt": "TraceDeadLetters.Arn"}
    assert exporter["Timeout"] > LONGEST_SECONDS
    allowed = {
        action for one in template.statements(template.load(), "TraceExporterRole") for action in template.actions(one)
    }
    assert allowed == {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}
    [secret] = template.statements(template.load(), "TraceHeadersPolicy")
    assert (secret["Action"], secret["Resource"]) == (
        "secretsmanager:GetSecretValue",
        {"Ref": "TraceHeadersSecretId"},
    )
    assert "OTEL_EXPORTER_OTLP_HEADERS" not in (template.ROOT / "template.yaml").read_text("utf-8")
    asked = {name: variables("McpEndpoint")[name] for name in OF_TRACES & set(variables("McpEndpoint"))}
    assert asked == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": {"Ref": "TraceEndpoint"},
        "OTEL_TRACES_SAMPLER": {"Fn::If": ["HasTraces", {"Ref": "TraceSampler"}, ""]},
        "OTEL_TRACES_SAMPLER_ARG": {"Fn::If": ["HasTraces", {"Ref": "TraceRatio"}, ""]},
        "POSTERN_TRACE_UPSTREAMS": {"Ref": "TraceUpstreams"},
    }
    assert set(PARAMETERS["TraceSampler"]["AllowedValues"]) == set(SAMPLERS)


@pytest.mark.parametrize(
    ("parameter", "value", "taken"),
    [
        ("TraceEndpoint", "", True),
        ("TraceEndpoint", "https://collector.example:4318", True),
        ("TraceEndpoint", "http://localhost:4318/otlp", True),
        ("TraceEndpoint", "https://key:secret@collector.example", False),
        ("TraceEndpoint", "https://collector.example?key=secret", False),
        ("TraceEndpoint", "collector.example:4318", False),
        ("TraceRatio", "0", True),
        ("TraceRatio", "0.001", True),
        ("TraceRatio", "1.0", True),
        ("TraceRatio", "1.1", False),
        ("TraceRatio", "", False),
        ("TraceRatio", ".5", False),
        ("TraceHeadersSecretId", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:traces-AbCdEf", True),
        ("TraceHeadersSecretId", "api-key=secret", False),
    ],
)
def test_a_parameter_of_traces_that_the_functions_would_refuse_is_refused_first(
    parameter: str, value: str, *, taken: bool
) -> None:
    assert bool(re.fullmatch(PARAMETERS[parameter]["AllowedPattern"], value)) is taken
    if taken and parameter != "TraceHeadersSecretId":
        variable = {"TraceEndpoint": "OTEL_EXPORTER_OTLP_ENDPOINT", "TraceRatio": "OTEL_TRACES_SAMPLER_ARG"}[parameter]
        assert TraceSettings.from_environment({variable: value})


def test_the_table_is_on_demand_with_our_key_a_ttl_and_protection_by_parameter() -> None:
    table = RESOURCES["Table"]["Properties"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    durable = {"Fn::If": ["IsDurable", True, False]}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": durable}
    assert table["DeletionProtectionEnabled"] == durable
    assert not table.keys() & {"GlobalSecondaryIndexes", "LocalSecondaryIndexes", "TableName"}


@pytest.mark.parametrize(
    "role",
    [
        *("McpEndpointRole", "AdminApiRole", "PurgeRole", "LogSubscriberRole", "ScheduleRole"),
        *("TraceExporterRole", "TraceHeadersPolicy"),
    ],
)
def test_no_role_has_a_wildcard_a_scan_or_a_managed_policy(role: str) -> None:
    assert "ManagedPolicyArns" not in RESOURCES[role]["Properties"]
    for statement in template.statements(template.load(), role):
        assert statement["Resource"] != "*"
        assert not any("*" in action or action == "dynamodb:Scan" for action in template.actions(statement))


def test_the_data_plane_has_permissions_on_its_table_and_its_log_only() -> None:
    services = {
        action.partition(":")[0]
        for statement in template.statements(template.load(), "McpEndpointRole")
        for action in template.actions(statement)
    }
    assert services == {"dynamodb", "logs"}


def test_nothing_carries_a_name_that_two_environments_could_share() -> None:
    own_names = {
        (name, key): entry["Properties"][key]
        for name, entry in RESOURCES.items()
        for key in (
            "FunctionName",
            "RoleName",
            "TableName",
            "QueueName",
            "TopicName",
            "LogGroupName",
            "AlarmName",
            "Name",
        )
        if key in entry.get("Properties", {})
    }
    assert all("AWS::StackName" in json.dumps(value) for value in own_names.values()), own_names


def test_the_access_log_has_no_path_and_no_header_that_may_hold_a_token() -> None:
    fields_kept = RESOURCES["EdgeLogDelivery"]["Properties"]["RecordFields"]
    assert len(fields_kept) >= 8
    assert not [name for name in fields_kept if re.search(r"uri|query|cookie|referer|user-agent|host", name, re.I)]
    assert "Logging" not in RESOURCES["Distribution"]["Properties"]["DistributionConfig"]


def test_something_watches_errors_throttles_slowness_and_lost_purges_and_tells_the_same_address() -> None:
    alarms = {
        name: entry["Properties"] for name, entry in RESOURCES.items() if entry["Type"] == "AWS::CloudWatch::Alarm"
    }
    watched = {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms.values()}
    assert watched == {
        ("AWS/Lambda", "Errors"),
        ("AWS/Lambda", "Throttles"),
        ("AWS/Lambda", "Duration"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("AWS/Scheduler", "InvocationDroppedCount"),
        ("Postern", "log_lag_ms"),
        ("Postern", "spans_lost"),
        ("AWS/Lambda", "Url5xxCount"),
        ("AWS/Lambda", "Url4xxCount"),
        ("AWS/DynamoDB", "ReadThrottleEvents"),
        ("AWS/DynamoDB", "WriteThrottleEvents"),
        ("AWS/DynamoDB", "SystemErrors"),
        ("Postern", "server_errors"),
        ("Postern", "refused_admissions"),
        ("Postern", "dead_urls"),
        ("Postern", "kms_denials"),
        ("Postern", "purge_failures"),
    }
    queues = {str(alarm["Dimensions"][0]["Value"]) for alarm in alarms.values() if alarm["Namespace"] == "AWS/SQS"}
    assert queues == {
        str({"Fn::GetAtt": f"{queue}.QueueName"}) for queue in ("DeadLetters", "LogDeadLetters", "TraceDeadLetters")
    }
    assert alarms["McpEndpointSlow"]["ExtendedStatistic"] == "p95"
    assert {json.dumps(alarm["AlarmActions"]) for alarm in alarms.values()} == {
        json.dumps({"Fn::If": ["HasAlarmEmail", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]})
    }


def test_the_dashboard_is_json() -> None:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    widgets = json.loads(body)["widgets"]
    assert len(widgets) == 10
    assert widgets[0]["properties"]["markdown"].startswith("## Is it us or the upstream?")


def test_every_metric_of_ours_that_the_template_names_is_one_that_is_written() -> None:
    text = (template.ROOT / "template.yaml").read_text()
    body = json.loads(RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0])["widgets"]
    alarms = [entry["Properties"] for entry in RESOURCES.values() if entry["Type"] == "AWS::CloudWatch::Alarm"]
    named = {alarm["MetricName"] for alarm in alarms if alarm.get("Namespace") == "Postern"}
    shown, namespace = set(), ""
    for widget in body:
        for namespaces, *rest in widget["properties"].get("metrics", ()):
            if namespaces == "...":
                continue
            namespace = namespace if namespaces == "." else namespaces
            shown |= {rest[0]} if namespace == "Postern" else set()
    assert named <= set(UNITS)
    assert shown <= set(UNITS)
    assert {"server_errors", "upstream_errors"} <= shown
    assert "server_errors > 0" in text


def test_every_suppressed_rule_has_its_reason() -> None:
    skipped = [
        rule for entry in RESOURCES.values() for rule in entry.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skipped
    assert all(len(rule["comment"]) > 20 for rule in skipped)


def test_every_output_says_what_it_is_and_one_says_the_next_command() -> None:
    outputs = template.load()["Outputs"]
    assert all(output["Description"] for output in outputs.values())
    assert "secretsmanager get-secret-value" in outputs["NextCommand"]["Value"]["Fn::Sub"]


def test_environments_have_stacks_of_their_own_and_only_known_parameters() -> None:
    config = tomllib.loads((template.ROOT / "infra" / "samconfig.toml").read_text())
    environments = {name: config[name]["deploy"]["parameters"] for name in config if name not in ("version", "default")}
    assert set(environments) == {"dev", "staging", "prod", "ephemeral"}
    for name, settings in environments.items():
        overrides = dict(word.split("=") for word in settings["parameter_overrides"].split())
        assert set(overrides) <= set(PARAMETERS)
        if name == "ephemeral":
            assert "stack_name" not in settings
        else:
            assert settings["stack_name"] == settings["s3_prefix"] == f"postern-{name}"
            assert overrides["Environment"] == name
        assert overrides["Durable"] == ("true" if name in ("staging", "prod") else "false")


def test_every_parameter_says_what_it_is() -> None:
    assert all(len(parameter["Description"]) > 20 for parameter in PARAMETERS.values())


@pytest.mark.parametrize("function", ["mcp_endpoint", "admin_api", "purge", "trace_exporter"])
def test_lambda_runs_the_versions_that_the_tests_run(function: str) -> None:
    def versions(name: str) -> set[str]:
        text = (template.ROOT / "infra" / "requirements" / f"{name}.txt").read_text()
        return set(re.findall(r"^([a-z0-9_.-]+==[^ ;\\]+)", text, re.M))

    assert versions(function) <= versions("aws") <= versions("dev")
    assert versions("local") < versions("aws")
    assert len(versions(function)) >= 5


def test_a_catalogue_that_is_not_what_the_records_say_stops_the_build(tmp_path: Any) -> None:
    """The build in a copy of the tree whose compiled catalogue somebody edited by hand."""
    import shutil
    import sys

    for name in ("tool_catalog", "functions", "infra"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(template.ROOT / name, tmp_path / name, ignore=ignored)
    compiled = tmp_path / "tool_catalog" / "compiled" / "mem0.json"
    compiled.write_text(compiled.read_text().replace('"label":"Mem0"', '"label":"Mem0 and more"'))
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "infra/package/build.py", "mcp_endpoint", str(out)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "mcp_endpoint: the catalogue differs from its records (see above); run `make catalog`" in done.stderr
    assert not out.exists()


def test_what_cannot_be_made_again_outlives_its_stack() -> None:
    for name in ("Table", "Key", "McpEndpointLog", "AdminApiLog"):
        assert RESOURCES[name]["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain", name
    durable = {"Fn::If": ["IsDurable", True, False]}
    for name in ("McpEndpointLog", "AdminApiLog"):
        assert RESOURCES[name]["Properties"]["DeletionProtectionEnabled"] == durable


def test_both_public_functions_serve_published_versions_and_alarms_roll_a_canary_back() -> None:
    for name in ("McpEndpoint", "AdminApi"):
        function = FUNCTIONS[name]["Properties"]
        assert function["AutoPublishAlias"] == "live"
        assert function["AutoPublishCodeSha256"] == {"Ref": "Revision"}
        preference = function["DeploymentPreference"]
        assert (preference["Enabled"], preference["Type"]) == ({"Ref": "Canary"}, {"Ref": "Canary"})
        watched = [alarm["Ref"] for alarm in preference["Alarms"]]
        assert "ServerErrors" in watched
        assert all(RESOURCES[alarm]["Properties"]["Period"] <= 300 for alarm in watched)
    assert PARAMETERS["Canary"]["Default"] == "false"


def test_a_further_region_has_no_control_plane() -> None:
    """Without the control plane no resource is made that only it uses, and nothing that remains names one."""
    needing = ("HasControlPlane", "HasWebhook", "HasOidcClientSecret")
    mine = {name for name, entry in RESOURCES.items() if entry.get("Condition") in needing}
    assert {"AdminApi", "Purge", "Key", "RootApiToken", "ScheduleGroup", "DeadLetters", "NoticesSchedule"} <= mine

    def named(value: Json) -> set[str]:
        """Resources of the control plane that are named outside a condition."""
        if isinstance(value, list):
            return set().union(*map(named, value)) if value else set()
        if not isinstance(value, dict):
            return set()
        if "Fn::If" in value and value["Fn::If"][0] in needing:
            return named(value["Fn::If"][2])
        found = {str(value["Ref"])} if "Ref" in value else set()
        if "Fn::GetAtt" in value:
            target = value["Fn::GetAtt"]
            found.add((target if isinstance(target, str) else target[0]).partition(".")[0])
        return found.union(*map(named, value.values())) if value else found

    for name, entry in RESOURCES.items():
        if name not in mine:
            assert not named(entry["Properties"]) & mine, name


def test_nobody_walks_around_cloudfront() -> None:
    """The secret that CloudFront sends is the one that the function asks for, and nobody chooses or sees it."""
    [origin] = RESOURCES["Distribution"]["Properties"]["DistributionConfig"]["Origins"]
    secret = {"Fn::Sub": "{{resolve:secretsmanager:${OriginSecret}}}"}
    assert origin["OriginCustomHeaders"] == [{"HeaderName": SECRET_HEADER, "HeaderValue": secret}]
    assert variables("McpEndpoint")["POSTERN_ORIGIN_SECRET"] == {"Fn::If": ["HasEdge", secret, ""]}
    assert RESOURCES["OriginSecret"]["Properties"]["GenerateSecretString"]["PasswordLength"] >= 43
    assert "POSTERN_ORIGIN_SECRET" not in variables("AdminApi")


def test_the_addresses_of_operators_and_a_web_acl_are_parameters() -> None:
    assert variables("AdminApi")["POSTERN_MANAGEMENT_NETWORKS"] == {"Ref": "ManagementNetworks"}
    config = RESOURCES["Distribution"]["Properties"]["DistributionConfig"]
    assert config["WebACLId"] == {"Fn::If": ["HasWebAcl", {"Ref": "WebAclArn"}, {"Ref": "AWS::NoValue"}]}


def test_a_snapshot_is_a_parameter_of_the_data_plane_alone() -> None:
    wanted = {"ApplyOn": {"Fn::If": ["HasSnapStart", "PublishedVersions", "None"]}}
    assert {name: entry["Properties"].get("SnapStart") for name, entry in FUNCTIONS.items()} == {
        **dict.fromkeys(FUNCTIONS),
        "McpEndpoint": wanted,
    }
    assert PARAMETERS["SnapStart"]["Default"] == "false"
