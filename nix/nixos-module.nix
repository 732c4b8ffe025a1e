# NixOS: programs.nixfleet-update. The options are described in docs/nix.md.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.programs.nixfleet-update;
  common = import ./common.nix { inherit lib pkgs; };

  command = common.command cfg (common.hostsFile cfg { platform = "nixos"; });
  launcher = common.script "nixfleet-launch" ./launcher.sh {
    update = "${command}/bin/nixfleet-update";
  };

  # A path that outlives a switch: an agent that was not restarted still finds it. Only root changes it.
  launcherPath = "/run/current-system/sw/bin/nixfleet-launch";

  # `""` is sudo's way to say: no arguments.
  sudoRules = mkIf (cfg.users != [ ] || cfg.groups != [ ]) [
    {
      inherit (cfg) users groups;
      runAs = "root";
      commands = [
        {
          command = ''${launcherPath} ""'';
          options = [ "NOPASSWD" ];
        }
      ];
    }
  ];
in
{
  options.programs.nixfleet-update = lib.recursiveUpdate common.options {
    name.default = config.networking.hostName;
    name.defaultText = lib.literalExpression "config.networking.hostName";

    checkout = mkOption {
      type = types.strMatching "/.+";
      example = "/home/ops/Code/nixcfg";
      description = "The working tree of nixcfg on this host, with its whole path. Who owns it owns root.";
    };

    attribute = mkOption {
      type = types.strMatching "[^\"#]+";
      default = config.networking.hostName;
      defaultText = lib.literalExpression "config.networking.hostName";
      description = "This host's name under `nixosConfigurations`.";
    };

    users = mkOption {
      type = types.listOf types.str;
      default = lib.optional (
        cfg.selfUpdateWrapper.enable && (config.services.nixfleet-agent.enable or false)
      ) config.services.nixfleet-agent.user;
      defaultText = lib.literalExpression "the agent's user, with selfUpdateWrapper";
      example = [ "ops" ];
      description = "Who may start the update without a password, by `sudo nixfleet-launch` and nothing else.";
    };

    groups = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "wheel" ];
      description = "As `users`, for groups.";
    };

    selfUpdateWrapper.agent.default =
      common.agentIn
        (config.systemd.services.nixfleet-agent.serviceConfig.ExecStart or "");

    timer.calendar = mkOption {
      type = types.str;
      default = "04:00";
      example = "Mon *-*-* 05:30";
      description = "When, as systemd's `OnCalendar`.";
    };
  };

  config = mkIf cfg.enable {
    assertions = common.assertions cfg;

    environment.systemPackages = [
      cfg.package
      (lib.hiPrio command)
      launcher
    ]
    ++ lib.optional (cfg.selfUpdateWrapper.enable && cfg.selfUpdateWrapper.agent != null) (
      lib.hiPrio (
        common.wrapper cfg command {
          launcher = launcherPath;
          sudo = "${config.security.wrapperDir}/sudo";
        }
      )
    );

    # below each user's own: the program looks for it in XDG_CONFIG_DIRS
    environment.etc = common.configFile cfg "xdg/nixfleet/config.toml";

    security.sudo.extraRules = sudoRules;
    security.sudo-rs.extraRules = sudoRules;

    systemd.services.nixfleet-update = mkIf cfg.timer.enable {
      description = "Update the NixFleet agent";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # The switch is this unit's own doing.
      restartIfChanged = false;
      stopIfChanged = false;
      environment.HOME = "/root";
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "${command}/bin/nixfleet-update";
        # another job runs; stopped, while the job goes on
        SuccessExitStatus = "6 9";
      };
    };

    systemd.timers.nixfleet-update = mkIf cfg.timer.enable {
      description = "Update the NixFleet agent";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = cfg.timer.calendar;
        RandomizedDelaySec = cfg.timer.randomizedDelaySec;
        Persistent = true;
      };
    };
  };
}
