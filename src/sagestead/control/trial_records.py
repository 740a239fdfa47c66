"""The training jobs of a tuning job, as they are stored.

Rule: they are found by their names, which begin with the tuning job's, and told apart from others by what
they note themselves.
"""

from __future__ import annotations

from sagestead.domain.resources import Kind, Resource
from sagestead.planning.trials import is_trial_of
from sagestead.ports import Listing, Resources

MOST_TRIALS = 20_000


def children_of(resources: Resources, job: Resource) -> list[Resource]:
    """Return the training jobs of a tuning job, by name."""
    key = job.key
    listing = Listing(
        Kind.TRAINING_JOB,
        key.account,
        key.region,
        limit=MOST_TRIALS,
        sort_by="name",
        descending=False,
        name_prefix=f"{key.name}-",
    )
    return [child for child in resources.page(listing) if is_trial_of(child, job)]
