from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.control.calls import ACCOUNT, Client, principal

from sagestead.control.accounts import EXECUTION_ROLE, new_key, open_account
from sagestead.control.operations import iam, sts
from sagestead.store.credentials import SqlCredentials
from sagestead.store.database import Database, open_database
from sagestead.store.resources import SqlResources

ROLE = f"arn:aws:iam::{ACCOUNT}:role/{EXECUTION_ROLE}"
OTHER = "210987654321"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path)
    open_account(SqlResources(opened), SqlCredentials(opened), ACCOUNT, 1_600_000_000.0)
    yield opened
    opened.close()


@pytest.fixture
def client(database: Database) -> Client:
    return Client("sts", sts.OPERATIONS, database)


def make_role(database: Database, name: str, principal_of_trust: Any, **statement: Any) -> str:
    trust = {
        "Statement": {"Effect": "Allow", "Principal": principal_of_trust, "Action": "sts:*", **statement}
    }
    made = Client("iam", iam.OPERATIONS, database)(
        "CreateRole", RoleName=name, AssumeRolePolicyDocument=json.dumps(trust)
    )
    return str(made["Role"]["Arn"])


def test_opening_an_account_twice_changes_nothing(database: Database) -> None:
    resources, credentials = SqlResources(database), SqlCredentials(database)
    first = open_account(resources, credentials, ACCOUNT, 1.0)
    assert open_account(resources, credentials, ACCOUNT, 2.0) == first
    assert first.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/{EXECUTION_ROLE}/root"
    assert (first.access_key_id[:4], len(first.access_key_id), len(first.secret)) == ("AKIA", 20, 40)
    second = new_key(credentials, ACCOUNT)
    credentials.disable(first.access_key_id)
    assert open_account(resources, credentials, ACCOUNT, 3.0) == second
    assert open_account(resources, credentials, OTHER, 3.0).account == OTHER


def test_the_execution_role_is_a_role_like_any_other(database: Database) -> None:
    role = Client("iam", iam.OPERATIONS, database)
    assert role("GetRole", RoleName=EXECUTION_ROLE)["Role"]["Arn"] == ROLE
    attached = role("ListAttachedRolePolicies", RoleName=EXECUTION_ROLE)["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == [
        "AmazonS3FullAccess",
        "AmazonSageMakerFullAccess",
    ]
    simulated = role(
        "SimulatePrincipalPolicy", PolicySourceArn=ROLE, ActionNames=["sagemaker:CreateTrainingJob"]
    )
    assert simulated["EvaluationResults"][0]["EvalDecision"] == "allowed"


def test_the_identity_is_an_assumed_role(client: Client) -> None:
    identity = client("GetCallerIdentity")
    assert identity["Account"] == ACCOUNT
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{EXECUTION_ROLE}/root"
    role_id, _, session = identity["UserId"].partition(":")
    assert role_id.startswith("AROA")
    assert session == "root"


def test_a_session_has_credentials_that_expire(client: Client, database: Database) -> None:
    made = client("AssumeRole", RoleArn=ROLE, RoleSessionName="me", DurationSeconds=900)
    assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{EXECUTION_ROLE}/me"
    keys = made["Credentials"]
    assert keys["Expiration"].timestamp() == 1_700_000_900
    stored = SqlCredentials(database).find(keys["AccessKeyId"])
    assert stored is not None
    assert stored.access_key_id.startswith("ASIA")
    assert (stored.secret, stored.session_token) == (keys["SecretAccessKey"], keys["SessionToken"])
    assert (stored.account, stored.arn) == (ACCOUNT, made["AssumedRoleUser"]["Arn"])
    assert stored.expires_at == 1_700_000_900


@pytest.mark.parametrize(
    ("trusted", "allowed"),
    [
        ({"AWS": ACCOUNT}, True),
        ({"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]}, True),
        ({"AWS": ROLE}, True),
        ({"AWS": "*"}, True),
        ("*", True),
        ({"Service": ["sagemaker.amazonaws.com"]}, True),
        ({"Service": "ec2.amazonaws.com"}, False),
        ({"AWS": OTHER}, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/Other"}, False),
    ],
)
def test_a_role_is_assumed_by_whom_it_trusts(
    client: Client, database: Database, trusted: Any, *, allowed: bool
) -> None:
    arn = make_role(database, "r", trusted)
    if allowed:
        assert client("AssumeRole", RoleArn=arn, RoleSessionName="me")["Credentials"]
    else:
        refusal = client.refuses("AssumeRole", RoleArn=arn, RoleSessionName="me")
        assert (refusal.code, refusal.status) == ("AccessDenied", 403)
        assert refusal.sentence.endswith(f"is not authorized to perform: sts:AssumeRole on resource: {arn}")


def test_a_role_that_is_not_there_answers_like_one_that_does_not_trust(client: Client) -> None:
    for arn in (
        f"arn:aws:iam::{ACCOUNT}:role/none",
        f"arn:aws:iam::{OTHER}:role/none",
        "arn:aws:iam::nonsense",
    ):
        assert client.refuses("AssumeRole", RoleArn=arn, RoleSessionName="me").code == "AccessDenied"
    wrong_path = f"arn:aws:iam::{ACCOUNT}:role/x/{EXECUTION_ROLE}"
    assert client.refuses("AssumeRole", RoleArn=wrong_path, RoleSessionName="me").code == "AccessDenied"


def test_an_external_id_must_be_the_one_asked_for(client: Client, database: Database) -> None:
    arn = make_role(database, "r", {"AWS": ACCOUNT}, Condition={"StringEquals": {"sts:ExternalId": "code"}})
    assert client("AssumeRole", RoleArn=arn, RoleSessionName="me", ExternalId="code")
    assert (
        client.refuses("AssumeRole", RoleArn=arn, RoleSessionName="me", ExternalId="edoc").code
        == "AccessDenied"
    )
    assert client.refuses("AssumeRole", RoleArn=arn, RoleSessionName="me").code == "AccessDenied"


def test_another_account_may_assume_a_role_that_trusts_it(client: Client, database: Database) -> None:
    arn = make_role(database, "r", {"AWS": OTHER})
    client.who = principal(account=OTHER, arn=f"arn:aws:iam::{OTHER}:user/u")
    made = client("AssumeRole", RoleArn=arn, RoleSessionName="me")
    stored = SqlCredentials(database).find(made["Credentials"]["AccessKeyId"])
    assert stored is not None
    assert stored.account == ACCOUNT
    assert client.refuses("AssumeRole", RoleArn=ROLE, RoleSessionName="me").code == "AccessDenied"


def test_a_session_longer_than_the_role_allows_is_refused(client: Client) -> None:
    refusal = client.refuses("AssumeRole", RoleArn=ROLE, RoleSessionName="me", DurationSeconds=3601)
    assert refusal.code == "ValidationError"
    assert "MaxSessionDuration" in refusal.sentence


@pytest.mark.parametrize(
    "members", [{"Policy": "{}"}, {"Tags": [{"Key": "k", "Value": "v"}]}, {"SourceIdentity": "me"}]
)
def test_what_is_not_carried_out_is_refused_by_name(client: Client, members: Any) -> None:
    refusal = client.refuses("AssumeRole", RoleArn=ROLE, RoleSessionName="me", **members)
    assert f"{next(iter(members))} of AssumeRole is not carried out here" in refusal.sentence
