"""Operations have a deadline, and the history of their steps.

Revision: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("operations", sa.Column("deadline", sa.DateTime(timezone=True), nullable=True))
    op.add_column("operations", sa.Column("history", sa.JSON(), nullable=False, server_default="[]"))
