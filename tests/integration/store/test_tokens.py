from tests.unit.store.test_tokens import *  # noqa: F403 - the same promises
