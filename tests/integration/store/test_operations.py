from tests.unit.store.test_operations import *  # noqa: F403 - the same promises
