"""`vendetta workspace`: containers, system containers and VMs on the nodes."""

from vendetta.cli.command import Group

workspace = Group(
    "workspace",
    help="Containers, system containers and VMs on the nodes (short: ws).",
    sections={
        "Life": {
            "create": "vendetta.cli.workspace.create:create",
            "list": "vendetta.cli.workspace.show:list_",
            "status": "vendetta.cli.workspace.show:status",
            "start": "vendetta.cli.workspace.change:start",
            "stop": "vendetta.cli.workspace.change:stop",
            "restart": "vendetta.cli.workspace.change:restart",
            "pause": "vendetta.cli.workspace.change:pause",
            "resume": "vendetta.cli.workspace.change:resume",
            "resize": "vendetta.cli.workspace.change:resize",
            "move": "vendetta.cli.workspace.move:move",
            "snapshot": "vendetta.cli.workspace.snapshot:snapshot",
            "remove": "vendetta.cli.workspace.change:remove",
        },
        "Use": {
            "exec": "vendetta.cli.workspace.run:exec_",
            "shell": "vendetta.cli.workspace.run:shell",
            "cp": "vendetta.cli.workspace.cp:cp",
            "logs": "vendetta.cli.workspace.logs:logs",
            "forward": "vendetta.cli.workspace.forward:forward",
            "stats": "vendetta.cli.workspace.show:stats",
        },
    },
    aliases={"ls": "list", "rm": "remove"},
)
