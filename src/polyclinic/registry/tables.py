"""The registry's tables. A manifest says what was made; these, what was decided and measured.

Data sets, recipes and training figures stand in the signed manifest and nowhere else.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from polyclinic.core.storage.database import Base


class ModelVersionRow(Base):
    """A signed manifest. `name`, `kind` and `created` repeat it, so that listing reads no JSON."""

    __tablename__ = "model_version"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(64), index=True)
    kind: Mapped[str] = mapped_column(sa.String(64))
    created: Mapped[datetime]
    document: Mapped[bytes]
    signer: Mapped[str] = mapped_column(sa.String(64))
    signature: Mapped[str] = mapped_column(sa.String(128))


class ApprovalRow(Base):
    """Who gave which version of `name` an alias, and why.

    Rows are only ever added: an alias is whatever its last approval says.
    """

    __tablename__ = "approval"
    __table_args__ = (sa.Index("ix_approval_name_alias", "name", "alias"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(64))
    alias: Mapped[str] = mapped_column(sa.String(16))
    model_digest: Mapped[str] = mapped_column(sa.ForeignKey("model_version.digest"))
    time: Mapped[datetime]
    by: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str] = mapped_column(sa.Text)


class EvaluationRow(Base):
    """An `Evaluation` as JSON; its digest keeps one that arrives twice from counting twice."""

    __tablename__ = "evaluation"

    model_digest: Mapped[str] = mapped_column(
        sa.ForeignKey("model_version.digest"), primary_key=True
    )
    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    time: Mapped[datetime]
    document: Mapped[bytes]


class OpeningRow(Base):
    """One look at a data set's test part.

    `model_digest` may name a version that was never here: openings arrive with bundles, too.
    """

    __tablename__ = "test_opening"

    dataset_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    model_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    by: Mapped[str] = mapped_column(sa.Text, primary_key=True)


class ReweightingRow(Base):
    """To which prevalence a version's probabilities are re-weighted at this site, by whose word.

    Rows are only ever added: the last one of a version counts, and one without document ends it.
    """

    __tablename__ = "reweighting"

    id: Mapped[int] = mapped_column(primary_key=True)
    model_digest: Mapped[str] = mapped_column(sa.ForeignKey("model_version.digest"), index=True)
    time: Mapped[datetime]
    by: Mapped[str] = mapped_column(sa.Text)
    document: Mapped[bytes | None]
