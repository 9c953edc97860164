import pytest

from vendetta.paths import describe_location


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/var/lib/state.db", "/var/lib/state.db"),
        ("postgresql://me:s3cret@db.lan:5432/vendetta", "postgresql://me:***@db.lan:5432/vendetta"),
        ("postgresql://me:s3@cret@db/vendetta", "postgresql://me:***@db/vendetta"),
        ("postgresql://me:s3/cret?@db/vendetta?sslmode=require", "postgresql://me:***@db/vendetta?sslmode=require"),
        ("postgresql://me@db/vendetta", "postgresql://me@db/vendetta"),
        ("postgresql:///vendetta?host=/run/pg&password=s3cret", "postgresql:///vendetta?host=/run/pg&password=***"),
    ],
)
def test_a_location_is_shown_without_its_password(location: str, shown: str) -> None:
    assert describe_location(location) == shown
