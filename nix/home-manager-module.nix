# Home Manager, Linux and macOS: programs.nixfleet-update. The options are described in docs/nix.md.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  inherit (pkgs.stdenv.hostPlatform) isDarwin;
  cfg = config.programs.nixfleet-update;
  common = import ./common.nix { inherit lib pkgs; };

  command = common.command cfg (common.hostsFile cfg { platform = "home-manager"; });
  update = "${command}/bin/nixfleet-update";
  logFile = "${config.home.homeDirectory}/Library/Logs/nixfleet-update.log";

  # launchd knows no random delay
  later = common.script "nixfleet-update-later" ./later.sh {
    inherit update;
    seconds = toString cfg.timer.randomizedDelaySec;
  };
in
{
  options.programs.nixfleet-update = lib.recursiveUpdate common.options {
    name.default = lib.last (lib.splitString "@" (if cfg.attribute == null then "home" else cfg.attribute));
    name.defaultText = lib.literalExpression "the host in `attribute`";

    checkout = mkOption {
      type = types.strMatching "[~/].+";
      default = "~/Code/nixcfg";
      description = "The working tree of nixcfg; `~` is the user's home.";
    };

    attribute = mkOption {
      type = types.nullOr (types.strMatching "[^\"#]+");
      default = null;
      example = "markus@imac0";
      description = "The name under `homeConfigurations`; found out when null.";
    };

    selfUpdateWrapper.agent.default = common.agentIn (
      if isDarwin then
        config.launchd.agents.nixfleet-agent.config.ProgramArguments or ""
      else
        config.systemd.user.services.nixfleet-agent.Service.ExecStart or ""
    );

    timer = {
      calendar = mkOption {
        type = types.str;
        default = "04:00";
        example = "Mon *-*-* 05:30";
        description = "When, on Linux, as systemd's `OnCalendar`.";
      };

      launchdCalendar = mkOption {
        type = types.listOf (types.attrsOf types.int);
        default = [
          {
            Hour = 4;
            Minute = 0;
          }
        ];
        description = "When, on macOS, as launchd's `StartCalendarInterval`.";
      };
    };
  };

  config = mkIf cfg.enable {
    assertions = common.assertions cfg;

    home.packages = [
      cfg.package
      (lib.hiPrio command)
    ]
    ++ lib.optional (cfg.timer.enable && isDarwin) later
    ++ lib.optional (cfg.selfUpdateWrapper.enable && cfg.selfUpdateWrapper.agent != null) (lib.hiPrio (common.wrapper cfg command { }));

    xdg.configFile = common.configFile cfg "nixfleet/config.toml";

    systemd.user.services.nixfleet-update = mkIf (cfg.timer.enable && !isDarwin) {
      Unit = {
        Description = "Update the NixFleet agent";
        # The switch is this unit's own doing.
        X-SwitchMethod = "keep-old";
      };
      Service = {
        Type = "oneshot";
        ExecStart = update;
        # another job runs; stopped, while the job goes on
        SuccessExitStatus = "6 9";
      };
    };

    systemd.user.timers.nixfleet-update = mkIf (cfg.timer.enable && !isDarwin) {
      Unit.Description = "Update the NixFleet agent";
      Timer = {
        OnCalendar = cfg.timer.calendar;
        RandomizedDelaySec = cfg.timer.randomizedDelaySec;
        Persistent = true;
      };
      Install.WantedBy = [ "timers.target" ];
    };

    launchd.agents.nixfleet-update = mkIf (cfg.timer.enable && isDarwin) {
      enable = true;
      config = {
        # Not in the store: a switch boots out an agent whose plist has changed, and this one runs the switch.
        ProgramArguments = [ "${config.home.profileDirectory}/bin/nixfleet-update-later" ];
        StartCalendarInterval = cfg.timer.launchdCalendar;
        ProcessType = "Background";
        StandardOutPath = logFile;
        StandardErrorPath = logFile;
      };
    };
  };
}
