"""Since when a node is silent, from what is known of it: sshd's last packet, the first question in vain, the kernel."""

import pytest

from vendetta.ssh.channel.silence import build_silence


@pytest.mark.parametrize(
    ("acknowledged", "silent"),
    [
        (47.0, 47.0),  # the cable was cut between the last packet and the first question
        (0.5, 40.0),  # the machine lives, and sshd doesn't answer
        (39.0, 40.0),  # it was cut after that question: sshd was silent by then
        (200.0, 60.0),  # nothing but sshd's packets was acknowledged
        (None, 40.0),  # through another host, whose kernel says nothing of the node
    ],
)
def test_it_is_as_old_as_is_known(acknowledged: float | None, silent: float) -> None:
    assert build_silence(heard=60.0, asked=40.0, acknowledged=acknowledged) == silent
