"""Why a model cannot be used.

Rule: one plain sentence that says what is wrong with the model and, where there is one, the remedy; it ends
in an endpoint's FailureReason or on a terminal.
"""

from __future__ import annotations


class ModelRefused(Exception):  # noqa: N818 - it says no, in a sentence for FailureReason
    """The model cannot be read exactly; the text is one sentence for people."""
