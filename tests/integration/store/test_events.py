from tests.unit.store.test_events import *  # noqa: F403 - the same promises
