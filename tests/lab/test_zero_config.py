"""Without an inventory: reading the names of hosts from a flake builds nothing, with a real Nix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .client_on_host import install_client

if TYPE_CHECKING:
    from .fleet import Fleet

FLAKE = """
{
  outputs = _: {
    nixosConfigurations = { web0 = throw "no configuration is looked at"; };
    homeConfigurations = import (derivation {
      name = "MARK";
      system = "x86_64-linux";
      builder = "/bin/sh";
      args = [ "-c" "echo '{ \\"ops@mac0\\" = 1; }' > $out; echo > /tmp/built-MARK" ];
    });
  };
}
"""
HOME = "/home/ops/elsewhere"
CHECKOUT = f"{HOME}/Code/nixcfg"
EVAL = f"nix eval --json --apply builtins.attrNames {CHECKOUT}#homeConfigurations"


def test_reading_host_names_builds_nothing(fresh: Fleet) -> None:
    host = fresh["csb1"]
    install_client(host)
    host.run(f"mkdir -p {CHECKOUT} && git init -q -b main {CHECKOUT}", user="ops")

    def write(mark: str) -> None:
        flake = FLAKE.replace("MARK", mark)
        done = host.run(
            f"cd {CHECKOUT} && cat > flake.nix <<'END' && git add .\n{flake}\nEND", user="ops"
        )
        assert done.returncode == 0, done.stderr

    # without our options Nix builds for an evaluation
    write("first")
    assert host.run(EVAL, user="ops").stdout.strip() == '["ops@mac0"]'
    assert host.run("ls /tmp/built-first", user="ops").returncode == 0

    write("second")
    done = host.run(f"HOME={HOME} nixfleet hosts --json", user="ops")
    assert f"Reading the names of hosts from the flake {CHECKOUT} ..." in done.stderr
    assert "allow-import-from-derivation" in done.stderr
    assert '"host":"web0"' in done.stdout
    assert "mac0" not in done.stdout
    assert host.run("ls /tmp/built-second", user="ops").returncode != 0


def test_hosts_of_a_broken_flake_stay_and_are_marked(fresh: Fleet) -> None:
    host = fresh["csb1"]
    install_client(host)
    host.run(f"mkdir -p {CHECKOUT} && git init -q -b main {CHECKOUT}", user="ops")

    def listed(flake: str) -> tuple[str, str]:
        done = host.run(f"cd {CHECKOUT} && echo '{flake}' > flake.nix && git add .", user="ops")
        assert done.returncode == 0, done.stderr
        done = host.run(f"HOME={HOME} nixfleet hosts --json", user="ops")
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    shown, said = listed("{ outputs = _: { nixosConfigurations.web0 = 1; }; }")
    assert '"host":"web0"' in shown
    assert '"remembered":true' not in shown
    assert "could not be read" not in said
    shown, said = listed("{ outputs = _: { nixosConfigurations.web0 = 1; }")
    assert '"host":"web0"' in shown
    assert '"remembered":true' in shown
    assert f"under nixosConfigurations and homeConfigurations in {CHECKOUT} could not be" in said
    assert "syntax error" in said
