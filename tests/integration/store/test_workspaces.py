from tests.unit.store.test_workspaces import *  # noqa: F403 - the same promises
