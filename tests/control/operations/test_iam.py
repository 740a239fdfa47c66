from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.control.calls import ACCOUNT, Client, principal

from sagestead.control.operations.iam import OPERATIONS
from sagestead.store.database import open_database

SAGEMAKER = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


TRUST = document(Principal={"Service": "sagemaker.amazonaws.com"}, Action="sts:AssumeRole")
READ = document(Action="s3:Get*", Resource="arn:aws:s3:::b/*")


@pytest.fixture
def iam(tmp_path: Path) -> Iterator[Client]:
    database = open_database(tmp_path)
    yield Client("iam", OPERATIONS, database)
    database.close()


def make_role(iam: Client, name: str = "r", **members: Any) -> Any:
    return iam("CreateRole", RoleName=name, AssumeRolePolicyDocument=TRUST, **members)["Role"]


def test_the_tutorials_role(iam: Client) -> None:
    role = make_role(iam, "sm", Path="/service-role/", Description="d", Tags=[{"Key": "k", "Value": "v"}])
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/service-role/sm"
    policy = iam("CreatePolicy", PolicyName="p", Path="/service-role/", PolicyDocument=READ)["Policy"]
    assert policy["Arn"] == f"arn:aws:iam::{ACCOUNT}:policy/service-role/p"
    iam("AttachRolePolicy", RoleName="sm", PolicyArn=SAGEMAKER)
    iam("AttachRolePolicy", RoleName="sm", PolicyArn=policy["Arn"])
    iam("AttachRolePolicy", RoleName="sm", PolicyArn=policy["Arn"])
    assert iam("ListAttachedRolePolicies", RoleName="sm") == {
        "AttachedPolicies": [
            {"PolicyName": "AmazonSageMakerFullAccess", "PolicyArn": SAGEMAKER},
            {"PolicyName": "p", "PolicyArn": policy["Arn"]},
        ],
        "IsTruncated": False,
    }
    assert iam("ListRolePolicies", RoleName="sm") == {"PolicyNames": [], "IsTruncated": False}
    shown = iam("GetRole", RoleName="sm")["Role"]
    assert shown == role
    assert unquote(shown["AssumeRolePolicyDocument"]) == TRUST
    assert shown["RoleId"].startswith("AROA")
    assert shown["CreateDate"].timestamp() == 1_700_000_000.5
    assert (shown["MaxSessionDuration"], shown["Tags"]) == (3600, [{"Key": "k", "Value": "v"}])
    assert iam("GetPolicy", PolicyArn=policy["Arn"])["Policy"]["AttachmentCount"] == 1
    version = iam("GetPolicyVersion", PolicyArn=policy["Arn"], VersionId="v1")["PolicyVersion"]
    assert unquote(version["Document"]) == READ
    (listed,) = iam("ListPolicyVersions", PolicyArn=policy["Arn"])["Versions"]
    assert {**listed, "Document": version["Document"]} == version
    assert iam("ListRoleTags", RoleName="sm") == {"Tags": [{"Key": "k", "Value": "v"}], "IsTruncated": False}


def test_what_is_attached_cannot_be_deleted(iam: Client) -> None:
    make_role(iam)
    arn = iam("CreatePolicy", PolicyName="p", PolicyDocument=READ)["Policy"]["Arn"]
    iam("AttachRolePolicy", RoleName="r", PolicyArn=arn)
    for operation, members in (("DeleteRole", {"RoleName": "r"}), ("DeletePolicy", {"PolicyArn": arn})):
        refusal = iam.refuses(operation, **members)
        assert (refusal.code, refusal.status) == ("DeleteConflict", 409)
    iam("DetachRolePolicy", RoleName="r", PolicyArn=arn)
    assert iam.refuses("DetachRolePolicy", RoleName="r", PolicyArn=arn).code == "NoSuchEntity"
    iam("DeleteRole", RoleName="r")
    iam("DeletePolicy", PolicyArn=arn)
    assert iam("ListRoles")["Roles"] == []
    assert iam("ListPolicies", Scope="Local")["Policies"] == []


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("GetRole", {"RoleName": "x"}),
        ("DeleteRole", {"RoleName": "x"}),
        ("ListRolePolicies", {"RoleName": "x"}),
        ("AttachRolePolicy", {"RoleName": "x", "PolicyArn": SAGEMAKER}),
        ("AttachRolePolicy", {"RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/Nothing"}),
        ("GetPolicy", {"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/x"}),
        ("GetPolicyVersion", {"PolicyArn": SAGEMAKER, "VersionId": "v2"}),
        ("DeletePolicy", {"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/x"}),
        (
            "SimulatePrincipalPolicy",
            {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/x", "ActionNames": ["a:b"]},
        ),
    ],
)
def test_what_is_not_there_is_no_such_entity(iam: Client, operation: str, members: Any) -> None:
    make_role(iam)
    refusal = iam.refuses(operation, **members)
    assert (refusal.code, refusal.status) == ("NoSuchEntity", 404)


def test_names_are_taken_in_any_case(iam: Client) -> None:
    make_role(iam, "Role")
    refusal = iam.refuses("CreateRole", RoleName="ROLE", AssumeRolePolicyDocument=TRUST)
    assert (refusal.code, refusal.status) == ("EntityAlreadyExists", 409)
    iam("CreatePolicy", PolicyName="p", PolicyDocument=READ)
    assert iam.refuses("CreatePolicy", PolicyName="P", PolicyDocument=READ).code == "EntityAlreadyExists"


def test_another_account_sees_nothing(iam: Client) -> None:
    make_role(iam)
    iam.who = principal(account="999999999999")
    assert iam.refuses("GetRole", RoleName="r").code == "NoSuchEntity"
    assert iam("ListRoles")["Roles"] == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        "[" * 20_000,
        '{"Statement": 5}',
        '{"Statement": [5]}',
        '{"Version": "2020-01-01", "Statement": []}',
        '{"Statement": {"Effect": ["Allow"], "Principal": "*", "Action": "a"}}',
        '{"Statement": {"Effect": "Allow", "Principal": "*"}}',
        '{"Statement": {"Effect": "Allow", "Principal": {"AWS": 5}, "Action": "a"}}',
        '{"Statement": {"Effect": "Allow", "Action": "a"}}',
        '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": [1]}}',
        '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "a", "Condition": []}}',
        document(Principal="*", Action="sts:AssumeRole", Resource="*"),
    ],
)
def test_a_malformed_trust_policy_is_refused(iam: Client, text: str) -> None:
    refusal = iam.refuses("CreateRole", RoleName="r", AssumeRolePolicyDocument=text)
    assert (refusal.code, refusal.status) == ("MalformedPolicyDocument", 400)


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"Resource": None}, "has a statement without Resource"),
        ({"Resource": []}, "has a statement without Resource"),
        ({"Action": []}, "has a statement without Action"),
        ({"NotAction": "s3:*"}, "or with NotAction too"),
        ({"Principal": "*"}, "has a Principal; leave it out"),
        ({"Action": "GetObject"}, "has the Action 'GetObject'; send service:Action, or *"),
        ({"Action": "s3:Get:Object"}, "has the Action 's3:Get:Object'"),
        ({"Resource": "bucket"}, "has the Resource 'bucket'; send an ARN, or *"),
        ({"Resource": "arn:aws:s3::b"}, "has the Resource 'arn:aws:s3::b'"),
        ({"Actions": "s3:*"}, "has a statement with the unknown element 'Actions'"),
        ({"Sid": []}, "has an Sid that is not text"),
        ({"Condition": {"StringIs": {"a": "b"}}}, "has a Condition with the unknown operator 'StringIs'"),
        ({"Condition": {"StringLike": {"a": {}}}}, "has a Condition whose 'a' is not text"),
    ],
)
def test_a_malformed_identity_policy_is_refused(iam: Client, changed: Any, part: str) -> None:
    statement = {"Action": "s3:Get*", "Resource": "*", **changed}
    text = document(**{name: value for name, value in statement.items() if value is not None})
    refusal = iam.refuses("CreatePolicy", PolicyName="p", PolicyDocument=text)
    assert refusal.code == "MalformedPolicyDocument"
    assert part in refusal.sentence


def test_elements_of_a_whole_policy_are_checked(iam: Client) -> None:
    allowed = json.loads(READ)
    first = {**allowed["Statement"][0], "Sid": "a"}
    for changed, part in (
        ({"Version": "2008-10-17"}, "must be version 2012-10-17 or greater"),
        ({"Statements": []}, "the unknown element 'Statements'"),
        ({"Id": 5}, "has an Id that is not text"),
        ({"Statement": [first, first]}, "has two statements with one Sid"),
    ):
        text = json.dumps({**allowed, **changed})
        assert part in iam.refuses("CreatePolicy", PolicyName="p", PolicyDocument=text).sentence


def test_what_is_not_carried_out_is_refused_by_name(iam: Client) -> None:
    refusal = iam.refuses(
        "CreateRole", RoleName="r", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=SAGEMAKER
    )
    assert "PermissionsBoundary of CreateRole is not carried out here" in refusal.sentence
    twice = [{"Key": "k", "Value": "1"}, {"Key": "K", "Value": "2"}]
    assert (
        iam.refuses("CreateRole", RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=twice).code
        == "InvalidInput"
    )


def test_pages_hold_while_roles_come_and_go(iam: Client) -> None:
    for name in ("a", "b", "c", "d", "e"):
        make_role(iam, name, Path="/x/" if name != "c" else "/")
    first = iam("ListRoles", MaxItems=2, PathPrefix="/x/")
    assert [role["RoleName"] for role in first["Roles"]] == ["a", "b"]
    iam("DeleteRole", RoleName="b")
    make_role(iam, "aa", Path="/x/")
    rest = iam("ListRoles", PathPrefix="/x/", Marker=first["Marker"])
    assert [role["RoleName"] for role in rest["Roles"]] == ["d", "e"]
    assert first["IsTruncated"] is True
    assert rest["IsTruncated"] is False
    assert iam.refuses("ListRoles", Marker="?").code == "ValidationError"


def test_policies_of_aws_and_of_the_account_are_listed(iam: Client) -> None:
    iam("CreatePolicy", PolicyName="Mine", PolicyDocument=READ, Description="d")
    assert [policy["PolicyName"] for policy in iam("ListPolicies", Scope="Local")["Policies"]] == ["Mine"]
    names = {policy["PolicyName"] for policy in iam("ListPolicies", MaxItems=1000)["Policies"]}
    assert {"Mine", "AdministratorAccess", "AmazonSageMakerFullAccess"} <= names
    assert iam("ListPolicies", OnlyAttached=True)["Policies"] == []
    shown = iam("GetPolicy", PolicyArn=SAGEMAKER)["Policy"]
    assert (shown["DefaultVersionId"], shown["Path"]) == ("v1", "/")
    version = iam("GetPolicyVersion", PolicyArn=SAGEMAKER, VersionId="v1")["PolicyVersion"]
    assert "sagemaker:*" in json.loads(unquote(version["Document"]))["Statement"][0]["Action"]
    assert iam.refuses("DeletePolicy", PolicyArn=SAGEMAKER).code == "AccessDenied"


def test_a_simulation_reads_the_attached_policies(iam: Client) -> None:
    arn = make_role(iam)["Arn"]
    deny = document(Effect="Deny", Action="s3:DeleteObject", Resource="*")
    guarded = document(
        Action="kms:Decrypt", Resource="*", Condition={"Bool": {"aws:SecureTransport": "true"}}
    )
    for name, text in (("deny", deny), ("guarded", guarded), ("read", READ)):
        made = iam("CreatePolicy", PolicyName=name, PolicyDocument=text)["Policy"]
        iam("AttachRolePolicy", RoleName="r", PolicyArn=made["Arn"])

    def decisions(*actions: str, resource: str = "*") -> list[str]:
        simulated = iam(
            "SimulatePrincipalPolicy", PolicySourceArn=arn, ActionNames=list(actions), ResourceArns=[resource]
        )
        return [result["EvalDecision"] for result in simulated["EvaluationResults"]]

    assert decisions("s3:GetObject", resource="arn:aws:s3:::b/k") == ["allowed"]
    assert decisions("s3:GetObject", "s3:deleteobject", "sagemaker:CreateModel") == [
        "implicitDeny",
        "explicitDeny",
        "implicitDeny",
    ]
    iam("AttachRolePolicy", RoleName="r", PolicyArn=SAGEMAKER)
    assert decisions("sagemaker:CreateTrainingJob", "ec2:DescribeVpcs") == ["allowed", "allowed"]
    result = iam("SimulatePrincipalPolicy", PolicySourceArn=arn, ActionNames=["kms:Decrypt"])[
        "EvaluationResults"
    ][0]
    assert (result["EvalDecision"], result["MissingContextValues"]) == (
        "implicitDeny",
        ["aws:SecureTransport"],
    )
