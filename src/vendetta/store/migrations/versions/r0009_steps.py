"""The outcomes of operations' steps are ours to keep, and the version of the steps says who may go on with them.

What was recorded before stays where it is until its operation is gone on with: see `store/older_steps.py`.

Revision: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("operations", sa.Column("steps_version", sa.String(), nullable=True))
    op.add_column("replicas", sa.Column("steps_version", sa.String(), nullable=True))
    op.create_table(
        "operation_steps",
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("outcome", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("once", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("operation", "name", name=op.f("pk_operation_steps")),
    )
