from tests.unit.store.test_nodes import *  # noqa: F403 - the same promises
