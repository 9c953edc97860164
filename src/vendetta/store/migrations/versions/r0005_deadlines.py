"""Operations have a deadline, and the history of their steps.

Revision: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("operations", sa.Column("deadline", sa.DateTime(timezone=True), nullable=True))
    op.add_column("operations", sa.Column("history", sa.JSON(), nullable=False, server_default="[]"))
