"""A fleet that is only there to be watched: nodes whose sshd is asyncssh's, and whose Docker Engine is a dictionary."""
