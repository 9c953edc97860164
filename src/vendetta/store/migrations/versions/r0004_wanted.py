"""What a workspace should be doing, how it ended and in which boot of its node it ran last; a node's boot.

Revision: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("nodes", sa.Column("boot_id", sa.String()))
    op.add_column("workspaces", sa.Column("wanted", sa.String(), nullable=False, server_default="stopped"))
    op.add_column("workspaces", sa.Column("exit_status", sa.Integer()))
    op.add_column(
        "workspaces", sa.Column("last_lines", sa.JSON(none_as_null=True), nullable=False, server_default="[]")
    )
    op.add_column("workspaces", sa.Column("boot_id", sa.String()))
    op.execute("UPDATE workspaces SET wanted = 'running' WHERE state IN ('starting', 'running', 'unknown')")
