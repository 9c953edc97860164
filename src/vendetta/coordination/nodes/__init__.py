"""Change nodes and what is on them: links, keys, images, drains, clean-ups, engine sockets."""
