"""Replicas share the nodes out, and what they need to log in to them.

Revision: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("nodes", sa.Column("wanted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("nodes", sa.Column("watcher", sa.String(), nullable=True))
    op.add_column("nodes", sa.Column("term", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_nodes_watcher"), "nodes", ["watcher"], unique=False)
    nodes = sa.table("nodes", sa.column("wanted", sa.Boolean()), sa.column("status", sa.String()))
    op.execute(nodes.update().where(nodes.c.status != "unknown").values(wanted=sa.true()))
    op.create_table(
        "replicas",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("watches", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replicas")),
    )
    op.create_table(
        "credentials",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_credentials")),
    )
    op.create_index(op.f("ix_credentials_changed_at"), "credentials", ["changed_at"], unique=False)
