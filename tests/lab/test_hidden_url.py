"""An input whose URL holds a password, with real Nix: it is updated, and nothing shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from .host import CHECKOUT

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

SECRET: Final = "tok3n-marked"
ON_HOST: Final = """
mv /usr/bin/git /usr/bin/real-git
cat >/usr/bin/git <<'E'
#!/bin/sh
case $* in *ls-remote*) echo "$*" >>/tmp/asked; chmod 666 /tmp/asked ;; esac 2>/dev/null
exec /usr/bin/real-git "$@"
E
chmod 755 /usr/bin/git
"""


def test_git_gets_the_password_of_an_inputs_url_and_nothing_shows_it(
    fresh: Fleet, client: Client, host: LabHost
) -> None:
    server = fresh.repos.servers["nixfleet"]
    flake = (fresh.repos.path("nixcfg") / "flake.nix").read_text()
    assert flake.count(server.url) == 1
    hiding = server.url.replace("http://", f"http://op:{SECRET}@")
    fresh.repos.commit_nixcfg(files={"flake.nix": flake.replace(server.url, hiding)})
    server.login = f"op:{SECRET}"
    lock = "nix --extra-experimental-features 'nix-command flakes' flake lock"
    host.enter(f"cd {CHECKOUT}; git pull -q && {lock}", user="ops")
    assert SECRET in host.enter(f"cat {CHECKOUT}/flake.lock", user="ops")
    host.enter(ON_HOST)

    refused = client.update(host.name, "--force=3", code=1)
    assert refused["cause"] == "preflight-credentials"
    assert SECRET not in json.dumps(refused)

    fresh.repos.release("2.3.0")
    answer = client.update(host.name, "--force")
    assert answer["verdict"] == "updated"
    assert host.agent_version() == "2.3.0"
    assert SECRET not in json.dumps(answer)
    asked = host.enter("cat /tmp/asked")
    assert f"ls-remote -- {server.url} refs/heads/main" in asked
    assert SECRET not in asked
    # Nix's own words stay in the log; the copies of flake.lock are kept byte for byte
    left = host.enter(f"cd /var/lib/nixfleet/jobs && grep -rl {SECRET} . || true").split()
    assert {name.rpartition("/")[2] for name in left} <= {
        *("log", "flake.lock.before", "flake.lock.pulled"),
    }
