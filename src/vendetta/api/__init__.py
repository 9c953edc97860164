"""HTTP in front of the use cases. Routes unpack, make one call, and return."""
