"""The whole server with its state in PostgreSQL: no other setting, and a user who may make no database."""

import psycopg
from tests.integration.api.home import Home


def test_a_server_starts_on_a_url_alone(home: Home, database_url: str) -> None:
    ids = []
    for _ in range(2):
        process = home.start(VENDETTA_STATE_FILE=database_url, VENDETTA_LOG_LEVEL="debug")
        home.wait_until_ready(process)
        with home.client() as client:
            assert client.get("/readyz").json() == {"status": "ready"}
            status = client.get("/api/v1/server").json()
        process.terminate()
        assert process.stderr
        logged = "".join([*home.log, process.stderr.read()])
        ids.append(status["id"])
        password = database_url.split(":")[2].partition("@")[0]
        assert status["state_file"] == database_url.replace(password, "***")
        assert password not in logged
        assert process.wait() == 0, logged
    assert ids[0] == ids[1]
    assert not list(home.path.rglob("*.db"))
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT DISTINCT schemaname FROM pg_tables WHERE tableowner = 'vendetta'").fetchall()
    assert {name for (name,) in found} == {"public"}
