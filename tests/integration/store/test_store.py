from tests.unit.store.test_store import *  # noqa: F403 - the same promises
