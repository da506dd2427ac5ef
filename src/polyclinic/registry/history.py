"""What happened to a model version after it was made: measured, looked at, approved."""

from datetime import datetime
from typing import Literal

from polyclinic.core.evaluation import Evaluation
from polyclinic.core.frozen import Frozen

#: The version that answers, and the one that is to be looked at next.
Alias = Literal["champion", "candidate"]


class Opening(Frozen):
    """One look at a data set's test part, by whom, and for which model version (its digest)."""

    dataset_digest: str
    model_digest: str
    time: datetime
    by: str


class Approval(Frozen):
    """Who gave which model version (its digest) an alias of `name`, when and why."""

    name: str
    alias: Alias
    model_digest: str
    time: datetime
    by: str
    reason: str


class History(Frozen):
    """What travels with a version, signed: its evaluations, and all openings of its test part.

    Approvals stay: each site decides for itself.
    """

    format: int = 1
    model_digest: str
    evaluations: tuple[Evaluation, ...] = ()
    test_openings: tuple[Opening, ...] = ()
