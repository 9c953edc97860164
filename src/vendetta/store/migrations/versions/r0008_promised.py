"""What each workspace was promised stands beside its spec, and what a node has promised in an index.

Revision: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    spec: sa.ColumnClause[object] = sa.column("spec", sa.JSON)
    cpus = spec["cpus"].as_float()
    memory_bytes = sa.cast(spec["memory_bytes"].as_string(), sa.BigInteger)
    # SQLite can't add a column that is computed and stored: the table is made anew there, and its rows copied
    with op.batch_alter_table("workspaces") as table:
        table.add_column(sa.Column("cpus", sa.Float(), sa.Computed(cpus, persisted=True)))
        table.add_column(sa.Column("memory_bytes", sa.BigInteger(), sa.Computed(memory_bytes, persisted=True)))
        table.drop_index("ix_workspaces_node")
        table.create_index("ix_workspaces_promised", ["node", "state", "cpus", "memory_bytes"])
