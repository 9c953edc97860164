from tests.unit.store.test_news import *  # noqa: F403 - the same promises
