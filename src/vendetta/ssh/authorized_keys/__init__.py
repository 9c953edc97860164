"""Edit the authorized_keys file of a node: safely, idempotently, where its sshd reads it."""
