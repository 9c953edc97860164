import pytest

from vendetta.cli.remainder import split_argv

FLAGS, VALUED = ("-i", "-t", "--tty", "--all"), ("-e", "--env", "-l", "--label")
TAKES = {**dict.fromkeys(FLAGS, False), **dict.fromkeys(VALUED, True)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("web ls -t", "web -- ls -t"),
        ("web -it ls -la", "web -it -- ls -la"),
        ("-e A=1 web -te B=2 ls -e", "-e A=1 web -te B=2 -- ls -e"),
        ("-eA=1 web ls", "-eA=1 web -- ls"),
        ("--env A=1 --env=B=2 --tty web ls --env x", "--env A=1 --env=B=2 --tty web -- ls --env x"),
        ("web -t -- ls -t", "web -t -- ls -t"),
        ("web", "web"),
        ("web -", "web -- -"),
        ("--all ls -t", "--all -- ls -t"),
        ("--label zone=lab -l a=b ls", "--label zone=lab -l a=b -- ls"),
        ("--all -- ls", "--all -- ls"),
    ],
)
def test_our_options_end_where_the_command_begins(line: str, expected: str) -> None:
    assert split_argv(line.split(), TAKES) == expected.split()
