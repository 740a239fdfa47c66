"""Optional: lets `sagemaker.get_execution_role()` and `default_bucket()` reach this server.

The SageMaker SDK asks AWS STS at a fixed regional address, which no setting changes. With this file on
PYTHONPATH (as `sitecustomize.py`, see `sagestead env --shim`), a client for that fixed address is made for
AWS_ENDPOINT_URL instead. It touches nothing else, and does nothing when AWS_ENDPOINT_URL is not set.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import sys
from types import ModuleType
from typing import Any

FIXED = re.compile(r"https://sts\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/?")


def patch(session_class: Any) -> None:  # noqa: ANN401 - boto3 may not be installed here
    """Make the class's `client` leave out the fixed STS address."""
    original = session_class.client

    def client(self: object, service_name: str, *args: object, **kwargs: object) -> object:
        address = kwargs.get("endpoint_url")
        if service_name == "sts" and isinstance(address, str) and FIXED.fullmatch(address):
            kwargs["endpoint_url"] = None
        return original(self, service_name, *args, **kwargs)

    session_class.client = client


class Boto3Finder(importlib.abc.MetaPathFinder):
    """Patches boto3's session when, and only when, a program imports it."""

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find `boto3.session` as usual, and patch it once it is loaded."""
        del path, target
        if name != "boto3.session":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                patch(module.Session)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign] # that is the hook
        return spec


if os.environ.get("AWS_ENDPOINT_URL"):
    sys.meta_path.insert(0, Boto3Finder())
