"""`vendetta node cordon` and `uncordon`: whether anything new is placed on a node."""

from typing import Any

from vendetta.cli.command import command, pass_session
from vendetta.cli.many import Verb, choose, selecting
from vendetta.cli.session import Session

from .link import change_nodes


@command("cordon", examples="vendetta node cordon gpu")
@selecting("node")
@pass_session
def cordon(session: Session, **chosen: Any) -> int:
    """Place nothing new on nodes. What is there goes on, and can be started, stopped and used as before."""
    verb = Verb("node", "cordon", "cordoned")
    return change_nodes(session, verb, choose(session, "node", **chosen), session.client.nodes.cordon)


@command("uncordon", examples="vendetta node uncordon gpu")
@selecting("node")
@pass_session
def uncordon(session: Session, **chosen: Any) -> int:
    """Place new workspaces on nodes again."""
    verb = Verb("node", "uncordon", "uncordoned")
    return change_nodes(session, verb, choose(session, "node", **chosen), session.client.nodes.uncordon)
