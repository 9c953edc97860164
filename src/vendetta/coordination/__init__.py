"""The use cases: nodes, workspaces, dispatch, placement, monitoring, operations, events. No HTTP, no engine."""
