"""Nodes say whether sudo may be used on them.

Revision: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("nodes", sa.Column("sudo", sa.Boolean(), nullable=False, server_default=sa.false()))
