"""Workspaces say whether a drain of their node has stopped them.

Revision: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("workspaces", sa.Column("drained", sa.Boolean(), nullable=False, server_default=sa.false()))
