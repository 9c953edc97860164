from tests.unit.store.test_claims import *  # noqa: F403 - the same promises
