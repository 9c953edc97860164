"""Workspaces say whether a drain of their node has stopped them.

Revision: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("workspaces", sa.Column("drained", sa.Boolean(), nullable=False, server_default=sa.false()))
