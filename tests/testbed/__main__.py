"""`python -m tests.testbed up 3 --docker 2`: nodes to try things on by hand, until Ctrl-C."""

import argparse
import signal
import sys

from .bed import TestBed
from .requirements import Missing


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description="Real nodes on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start nodes, and keep them until Ctrl-C")
    up.add_argument("count", type=int, help="how many nodes")
    up.add_argument("--docker", type=int, default=0, metavar="N", help="how many of them have a Docker Engine")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with TestBed() as bed:
            show(bed, arguments.count, arguments.docker)
            signal.pause()
    except Missing as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def show(bed: TestBed, count: int, docker: int) -> None:
    with_docker = bed.nodes(docker, docker=True)
    for node in with_docker:
        node.load_image("busybox")
    for node in [*with_docker, *bed.nodes(count - docker)]:
        has = "Docker with the image busybox" if node in with_docker else "no engine"
        print(f"{node.name}  {has:30}  {node.host_key_fingerprint}  ssh -i {node.key} {node.user}@{node.address}")
    print("Ctrl-C ends them.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
