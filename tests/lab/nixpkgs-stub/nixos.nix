# The options of NixOS and of NixFleet's own module that ours reads and sets. Rules for sudo become text
# as NixOS writes it.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  set = type: mkOption { inherit type; };
  rules = set (types.listOf types.anything);
  agent = config.services.nixfleet-agent;
  words = command: "${builtins.concatStringsSep ":" command.options}: ${command.command}";
  line = rule: who: "${who} ALL=(${rule.runAs}) ${builtins.concatStringsSep ", " (map words rule.commands)}";
  lines = rule: map (line rule) (rule.users ++ map (group: "%${group}") rule.groups);
in
{
  options = {
    assertions = set (types.listOf types.anything);
    environment.etc = set (types.attrsOf types.anything);
    environment.systemPackages = set (types.listOf types.package);
    networking.hostName = set types.str;
    security.wrapperDir = mkOption { type = types.str; default = "/run/wrappers/bin"; };
    security.sudo.extraRules = rules;
    security.sudo-rs.extraRules = rules;
    security.sudo.text = set types.str;
    services.nixfleet-agent.enable = mkOption { type = types.bool; default = false; };
    services.nixfleet-agent.user = set types.str;
    services.nixfleet-agent.program = set types.str;
    systemd.services = set (types.attrsOf types.anything);
    systemd.timers = set (types.attrsOf types.anything);
  };

  config = {
    security.sudo.text = lib.concatMapStrings (rule: lib.concatMapStrings (text: "${text}\n") (lines rule)) config.security.sudo.extraRules;
    systemd.services.nixfleet-agent = lib.mkIf agent.enable {
      serviceConfig.ExecStart = agent.program;
      serviceConfig.User = agent.user;
    };
  };
}
