"""Why a training job fails: who must act decides the class (spec: xgboost-builtin.md sections 3 and 7)."""

from __future__ import annotations


class UserFault(Exception):  # noqa: N818 - the sentence is for the user, not for us
    """Wrong hyperparameters, channels or data. FailureReason begins `ClientError:`."""


class AlgorithmFault(Exception):  # noqa: N818 - the same
    """Training itself failed. FailureReason begins `AlgorithmError:`."""


_USER_FAULTS_OF_THE_LIBRARY = (
    "label must be in [0,1] for logistic regression",
    "label must be in [0, num_class)",
    "Target is multiclass but average='binary'",
    "feature_names mismatch",
    "Check failed: preds.size() == info.labels_.size()",
    "Check failed: !auc_error AUC: the dataset only contains pos or neg samples",
    "base_score must be in (0,1)",
    "PoissonRegression: label must be nonnegative",
    "TweedieRegression: label must be nonnegative",
    "Parameter reg_lambda should be greater equal to 0",
    # How the current library says the same things.
    "label must be in [0, 1] for logistic regression",
    "base_score must be",
    "label must be nonnegative",
    "label must be positive",
    "should be greater equal to 0",
    "preds.Size() == info.labels.Size()",
)


def library_fault(text: str) -> UserFault | AlgorithmFault:
    """Return the fault for an error of the XGBoost library; its stack trace is left out."""
    message = text.partition("\nStack trace:")[0].strip()
    if any(part in message for part in _USER_FAULTS_OF_THE_LIBRARY):
        return UserFault(message)
    return AlgorithmFault(f"XGB train call failed with exception:\n {message}")
