"""Reflection tells a client everything: services, messages, and what each field means."""

import re

import pytest

SERVICE = "faceliveness.v1.FaceLivenessService"


def described(grpcurl):
    """Every symbol of the schema, reached from the service, with its description."""
    found = {}
    open_names = [SERVICE]
    while open_names:
        name = open_names.pop()
        if name not in found:
            found[name] = grpcurl.describe(name)
            open_names += re.findall(r"\.(faceliveness\.v1\.\w+)", found[name])
    return found


def members(description):
    """Each field, value or method of a description, with the comment above it."""
    comment = []
    for line in map(str.strip, description.splitlines()):
        if line.startswith("//"):
            comment.append(line.removeprefix("//").strip())
            continue
        if found := re.match(r"(?:rpc (\w+) |(?:.* )?(\w+) = \d+;)", line):
            yield found[1] or found[2], comment
        comment = []


def test_list_names_all_four_services(grpcurl):
    assert grpcurl.list() == [
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]


def test_describe_reaches_every_message(grpcurl):
    assert {name.rsplit(".")[-1] for name in described(grpcurl)} == {
        "FaceLivenessService",
        "CreateSessionRequest",
        "CreateSessionResponse",
        "Settings",
        "OutputConfig",
        "ChallengePreference",
        "ChallengeType",
        "ChallengeVersions",
    }


def test_every_symbol_and_member_is_explained(grpcurl):
    for name, description in described(grpcurl).items():
        assert description.splitlines()[1].startswith("// "), f"{name} is not explained"
        explained = dict(members(description))
        assert explained, f"{name} shows no members: {description}"
        for member, comment in explained.items():
            assert comment, f"{name}.{member} is not explained"


def test_every_field_of_the_request_tells_its_constraint_or_default(grpcurl):
    checked = 0
    for name, description in described(grpcurl).items():
        if " is a message:" not in description or name.endswith("Response"):
            continue
        for member, comment in members(description):
            told = [line for line in comment if re.match(r"(Constraint|Default): .", line)]
            assert told, f"{name}.{member} tells neither constraint nor default: {comment}"
            checked += 1
    assert checked >= 13


@pytest.mark.parametrize(
    ("message", "field", "unit"),
    [
        ("Settings", "audit_images_limit", "in images"),
        ("CreateSessionResponse", "create_time", "UTC"),
        ("CreateSessionResponse", "expire_time", "three minutes"),
    ],
)
def test_numbers_and_times_tell_their_unit(grpcurl, message, field, unit):
    comments = dict(members(grpcurl.describe(f"faceliveness.v1.{message}")))
    assert unit in " ".join(comments[field])


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_versions_of_reflection_answer(grpcurl, version):
    method = f"grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    listed = grpcurl.call(method, {"list_services": ""})
    names = [each["name"] for each in listed["listServicesResponse"]["service"]]
    assert SERVICE in names
    found = grpcurl.call(method, {"file_containing_symbol": SERVICE})
    assert found["fileDescriptorResponse"]["fileDescriptorProto"]
