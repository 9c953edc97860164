"""The only package that knows SSH: connections to nodes, the pool that holds them, keys and host keys."""
