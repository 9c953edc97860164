import pytest

from vendetta.errors import (
    ImageNotFound,
    InstanceNotFound,
    InvalidInput,
    NameTaken,
    OutOfResources,
    ProviderError,
    Unsupported,
    VendettaError,
    WrongState,
)
from vendetta.providers.docker.errors import from_reply

# As Docker 20.10 and 28 write them.
REPLIES = [
    (404, "No such container: vendetta-web", InstanceNotFound),
    (404, "No such image: tools:latest", ImageNotFound),
    (404, "manifest for 127.0.0.1:5000/x:1 not found: manifest unknown: manifest unknown", ImageNotFound),
    (404, "pull access denied for x, repository does not exist or may require 'docker login'", ImageNotFound),
    (500, 'Head "https://r/v2/x/manifests/latest": no basic auth credentials', ImageNotFound),
    (500, 'Get "https://r/v2/": dial tcp: lookup r: no such host', ImageNotFound),
    (500, "failed to register layer: write /bin/x: no space left on device", OutOfResources),
    (500, "fork/exec /usr/bin/runc: cannot allocate memory", OutOfResources),
    (
        500,
        "could not find an available, non-overlapping IPv4 address pool: no available IPv4 addresses",
        OutOfResources,
    ),
    (409, 'The container name "/vendetta-web" is already in use by container "1c2".', NameTaken),
    (409, "Container 1c2 is not running", WrongState),
    (409, "You cannot remove a running container 1c2. Stop the container before attempting removal", WrongState),
    (409, "something else", WrongState),
    (404, "network lan not found", InvalidInput),
    (400, 'invalid mount config for type "bind": bind source path does not exist: /x', InvalidInput),
    (501, "nothing like that", Unsupported),
    (500, "a new kind of trouble", ProviderError),
]


@pytest.mark.parametrize(("status", "words", "kind"), REPLIES)
def test_each_reply_is_its_own_error(status: int, words: str, kind: type[VendettaError]) -> None:
    error = from_reply(status, words, "start web", "gpu")
    assert type(error) is kind
    assert error.message == "can't start web on node gpu"
    assert error.hint
    assert error.details == {"engine_status": status, "engine_message": words}


def test_what_is_not_recognised_is_passed_on_as_a_hint() -> None:
    assert from_reply(500, "a new kind of trouble\n", "start web", "gpu").hint == "Docker says: a new kind of trouble"
