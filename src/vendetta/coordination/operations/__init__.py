"""Record, run and resume operations: durable changes made of named steps.

`service` is what others call, `runner` performs what is held here, `lanes` keep one operation a target at a time,
`journal` writes what becomes of each, `adoption` goes on with what other servers left.
"""

from .service import Handler, Operations, Steps

__all__ = ["Handler", "Operations", "Steps"]
