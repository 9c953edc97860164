"""Operations know their lane, of which one runs at a time, and the replica that holds them.

Revision: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("operations", sa.Column("lane", sa.String(), nullable=True))
    op.add_column("operations", sa.Column("holder", sa.String(), nullable=True))
    op.create_index("ix_operations_lane", "operations", ["lane"])
    op.create_index("ix_operations_holder", "operations", ["holder"])
    running = sa.text("state = 'running'")
    op.create_index(
        "ix_operations_running_lane",
        "operations",
        ["lane"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
