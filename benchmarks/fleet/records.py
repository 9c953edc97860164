"""What the server remembers of the fleet before it starts: written into its store, as years of use would have."""

from pathlib import Path

from sqlalchemy import insert

from vendetta.models import HostKey, Node
from vendetta.store import Store
from vendetta.store.rows import build_values
from vendetta.store.tables import nodes, workspaces

from .plan import USER, Plan, build_workspaces, now
from .simulation import Keys

ROWS_AT_ONCE = 500


def write_pins(home: Path, plan: Plan, keys: Keys) -> None:
    """The nodes' host keys, as accepted before. `home` is VENDETTA_HOME."""
    pins = (f"{plan.node(number)} {keys.host_key}\n" for number in range(plan.nodes))
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "known_hosts").write_text("".join(pins))


async def write_records(state: str, plan: Plan, keys: Keys, port: int) -> str:
    """`state` is the path or URL of the database. Returns the id of the servers that it is of."""
    async with Store.open(state) as store:
        rows = [{**build_values(node), "wanted": True} for node in build_nodes(plan, keys, port)]
        more = [build_values(workspace) for workspace in build_workspaces(plan, now())]
        async with store._database.write() as connection:
            for table, values in ((nodes, rows), (workspaces, more)):
                kept = [{key: value for key, value in row.items() if key in table.c} for row in values]
                for start in range(0, len(kept), ROWS_AT_ONCE):
                    await connection.execute(insert(table), kept[start : start + ROWS_AT_ONCE])
        return store.server_id


def build_nodes(plan: Plan, keys: Keys, port: int) -> list[Node]:
    """None of their links stands."""
    since = now()
    host_key = HostKey(type="ssh-ed25519", fingerprint="SHA256:0000000000000000000000000000000000000000000")
    return [
        Node(
            id=f"{number:032x}",
            name=plan.node(number),
            address=plan.address(number),
            user=USER,
            port=port,
            identity=str(keys.identity),
            status="connecting",
            since=since,
            labels={"fleet": "yes"},
            host_key=host_key,
        )
        for number in range(plan.nodes)
    ]
