"""Why a training job fails: who must act decides the class (spec: xgboost-builtin.md sections 3 and 7)."""

from __future__ import annotations

import re


class UserFault(Exception):  # noqa: N818 - the sentence is for the user, not for us
    """Wrong hyperparameters, channels or data. FailureReason begins `ClientError:`."""


class AlgorithmFault(Exception):  # noqa: N818 - the same
    """Training itself failed. FailureReason begins `AlgorithmError:`."""


# What the library says of labels, of data without features, and of parameters that do not go together.
_USER_FAULT = re.compile(
    r"label must be|Label contains NaN|base_score|should be greater equal to|feature_names mismatch"
    r"|Check failed: preds\.[sS]ize\(\) == info\.labels|the dataset only contains pos or neg samples"
    r"|Target is multiclass but average='binary'|0 feature is supplied|[Oo]nly uniform sampling is supported"
    r"|exact tree method doesn't support|not yet supported by the exact tree method"
)
_PLACE = re.compile(r"\[[0-9:]+\] \S+:[0-9]+: ")


def library_text(text: str) -> str:
    """Return what the library says, without its time, the place in its source and its stack trace."""
    said = text.partition("\nStack trace:")[0].strip()
    place = _PLACE.match(said)
    return said[place.end() :] if place else said


def library_fault(text: str) -> UserFault | AlgorithmFault:
    """Return the fault for an error that the library raised while it trained."""
    message = library_text(text)
    if _USER_FAULT.search(message):
        return UserFault(message)
    return AlgorithmFault(f"XGB train call failed with exception:\n {message}")
