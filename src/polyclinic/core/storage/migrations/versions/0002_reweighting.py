"""To which prevalence a site has a model's probabilities re-weighted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "reweighting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_reweighting"),
        sa.ForeignKeyConstraint(
            ["model_digest"], ["model_version.digest"], name="fk_reweighting_model_digest"
        ),
    )
    op.create_index("ix_reweighting_model_digest", "reweighting", ["model_digest"])


def downgrade() -> None:
    """Drop the table, and what is in it."""
    op.drop_table("reweighting")
