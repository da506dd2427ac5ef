"""The model registry: versions, approvals, evaluations and openings of test parts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "model_version",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("signer", sa.String(64), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_model_version"),
    )
    op.create_index("ix_model_version_name", "model_version", ["name"])
    op.create_table(
        "approval",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("alias", sa.String(16), nullable=False),
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_approval"),
        sa.ForeignKeyConstraint(
            ["model_digest"], ["model_version.digest"], name="fk_approval_model_digest"
        ),
    )
    op.create_index("ix_approval_name_alias", "approval", ["name", "alias"])
    op.create_table(
        "evaluation",
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("model_digest", "digest", name="pk_evaluation"),
        sa.ForeignKeyConstraint(
            ["model_digest"], ["model_version.digest"], name="fk_evaluation_model_digest"
        ),
    )
    op.create_table(
        "test_opening",
        sa.Column("dataset_digest", sa.String(64), nullable=False),
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "dataset_digest", "model_digest", "time", "by", name="pk_test_opening"
        ),
    )


def downgrade() -> None:
    """Drop the tables, and what is in them."""
    for table in ("test_opening", "evaluation", "approval", "model_version"):
        op.drop_table(table)
