"""One technology a module. A provider keeps no state of its own: the node is the truth."""
