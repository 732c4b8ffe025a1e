# The options of Home Manager and of NixFleet's own module that ours reads and sets.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  set = type: mkOption { inherit type; };
  agent = config.services.nixfleet-agent;
  on = condition: lib.mkIf (agent.enable && condition);
  inherit (pkgs.stdenv.hostPlatform) isDarwin;
in
{
  options = {
    assertions = set (types.listOf types.anything);
    home.homeDirectory = set types.str;
    home.profileDirectory = set types.str;
    home.packages = set (types.listOf types.package);
    launchd.agents = set (types.attrsOf types.anything);
    services.nixfleet-agent.enable = mkOption { type = types.bool; default = false; };
    services.nixfleet-agent.program = set types.str;
    systemd.user.services = set (types.attrsOf types.anything);
    systemd.user.timers = set (types.attrsOf types.anything);
    xdg.configFile = set (types.attrsOf types.anything);
  };

  config = {
    systemd.user.services.nixfleet-agent = on (!isDarwin) { Service.ExecStart = agent.program; };
    launchd.agents.nixfleet-agent = on isDarwin {
      config.ProgramArguments = [ "/bin/bash" "-c" "sleep 1\nexec ${agent.program}\n" ];
    };
  };
}
