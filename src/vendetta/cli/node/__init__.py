"""`vendetta node`: machines reached by SSH."""

from vendetta.cli.command import Group

node = Group(
    "node",
    help="Machines reached by SSH.",
    sections={
        "Commands": {
            "add": "vendetta.cli.node.add:add",
            "list": "vendetta.cli.node.show:list_",
            "status": "vendetta.cli.node.show:status",
            "doctor": "vendetta.cli.node.doctor:doctor",
            "edit": "vendetta.cli.node.change:edit",
            "connect": "vendetta.cli.node.link:connect",
            "disconnect": "vendetta.cli.node.link:disconnect",
            "cordon": "vendetta.cli.node.maintain:cordon",
            "uncordon": "vendetta.cli.node.maintain:uncordon",
            "drain": "vendetta.cli.node.drain:drain",
            "undrain": "vendetta.cli.node.drain:undrain",
            "trust": "vendetta.cli.node.link:trust",
            "exec": "vendetta.cli.node.run:exec_",
            "shell": "vendetta.cli.node.run:shell",
            "socket": "vendetta.cli.node.socket:socket",
            "env": "vendetta.cli.node.socket:env",
            "cleanup": "vendetta.cli.node.cleanup:cleanup",
            "remove": "vendetta.cli.node.change:remove",
        },
    },
    aliases={"ls": "list", "rm": "remove"},
)
