"""Accounts and their keys.

Rule: secrets come from the operating system's random source and leave only in the `Credential` that is
returned; opening an account twice changes nothing.
"""

from __future__ import annotations

import json
import secrets
import string
from contextlib import suppress

from sagestead.control.managed_policies import PREFIX
from sagestead.domain.identity import Credential
from sagestead.domain.resources import GLOBAL_REGION, Key, Kind, Resource
from sagestead.ports import AlreadyExists, Credentials, Resources

EXECUTION_ROLE = "SagesteadExecutionRole"
ROOT_SESSION = "root"
_ID_LETTERS = string.ascii_uppercase + "234567"
_SECRET_LETTERS = string.ascii_letters + string.digits


def open_account(resources: Resources, credentials: Credentials, account: str, now: float) -> Credential:
    """Return the account's first enabled key, making the execution role and the key if need be.

    Args:
        resources: where the role is kept.
        credentials: where the key is kept.
        account: twelve digits.
        now: seconds since the epoch.
    """
    with suppress(AlreadyExists):
        resources.create(_execution_role(account, now))
    usable = (key for key in credentials.keys() if key.account == account and key.enabled)  # noqa: SIM118 - not a dict
    return next(usable, None) or new_key(credentials, account)


def new_key(credentials: Credentials, account: str) -> Credential:
    """Make and store a key pair that speaks for the account's root session of the execution role."""
    arn = f"arn:aws:sts::{account}:assumed-role/{EXECUTION_ROLE}/{ROOT_SESSION}"
    made = Credential(unique_id("AKIA", 16), new_secret(), account, arn)
    credentials.add(made)
    return made


def unique_id(prefix: str, length: int) -> str:
    """Return an identifier in AWS's form, for example `AROA` and 17 letters for a role."""
    return prefix + "".join(secrets.choice(_ID_LETTERS) for _ in range(length))


def new_secret() -> str:
    """Return a secret of 40 letters and digits (238 bits)."""
    return "".join(secrets.choice(_SECRET_LETTERS) for _ in range(40))


def _execution_role(account: str, now: float) -> Resource:
    principal = {"Service": "sagemaker.amazonaws.com", "AWS": f"arn:aws:iam::{account}:root"}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }
    policies = ("AmazonSageMakerFullAccess", "AmazonS3FullAccess")
    return Resource(
        key=Key(Kind.ROLE, account, GLOBAL_REGION, EXECUTION_ROLE),
        arn=f"arn:aws:iam::{account}:role/{EXECUTION_ROLE}",
        spec={
            "RoleName": EXECUTION_ROLE,
            "Path": "/",
            "AssumeRolePolicyDocument": json.dumps(trust),
            "Description": "What training jobs, transform jobs and endpoints of this account run as.",
        },
        detail={
            "RoleId": unique_id("AROA", 17),
            "AttachedPolicies": {f"{PREFIX}/{name}": name for name in policies},
        },
        created_at=now,
        modified_at=now,
    )
