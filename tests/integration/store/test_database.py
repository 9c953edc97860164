from tests.unit.store.test_database import *  # noqa: F403 - the same promises
