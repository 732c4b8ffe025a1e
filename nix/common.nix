# What the NixOS and the Home Manager module share.
{ lib, pkgs }:
let
  inherit (lib) mkOption types;
  toml = pkgs.formats.toml { };
  script = import ./script.nix {
    inherit lib;
    inherit (pkgs) writeScriptBin;
  };
in
rec {
  inherit script;

  options = {
    enable = lib.mkEnableOption "nixfleet-update, which force-updates this host's NixFleet agent";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "the package of the flake that this module is from";
      description = "The package with `nixfleet` and `nixfleet-update`.";
    };

    name = mkOption {
      type = types.strMatching "[A-Za-z0-9_][A-Za-z0-9_.-]*";
      description = "What this host is called in answers and in the folder of past jobs.";
    };

    input = mkOption {
      type = types.strMatching "[A-Za-z_][A-Za-z0-9_'-]*";
      default = "nixfleet";
      description = "The flake input to update.";
    };

    forges = mkOption {
      type = types.nullOr (types.listOf types.str);
      default = null;
      example = [ "git.example.org" ];
      description = ''
        The servers that git's credentials of who runs `nixfleet-update` may go to when flake.lock names
        them, `host` or `host:port`; null: github.com, gitlab.com, git.sr.ht and codeberg.org.
      '';
    };

    settings = mkOption {
      inherit (toml) type;
      default = { };
      example = {
        refresh = 120;
        theme = "light";
        limits.rebuild = 7200;
      };
      description = "The keys of config.toml, as `nixfleet config` lists them.";
    };

    selfUpdateWrapper = {
      enable = lib.mkEnableOption ''
        a `nixfleet-agent` in PATH that knows `--self-update [--force-rebuild] [--as-locked]` and
        otherwise becomes the real agent. The agent's unit is left alone'';

      agent = mkOption {
        type = types.nullOr types.str;
        defaultText = lib.literalExpression "the program that the unit of services.nixfleet-agent starts";
        example = lib.literalExpression ''"''${pkgs.nixfleet-agent}/bin/nixfleet-agent"'';
        description = "The real agent's program.";
      };
    };

    timer = {
      enable = lib.mkEnableOption "an update at regular times, which does nothing while the agent is the latest";

      randomizedDelaySec = mkOption {
        type = types.ints.unsigned;
        default = 3600;
        description = "Each update waits a random time of up to this many seconds, so that hosts do not all build at once.";
      };
    };
  };

  # The inventory of this one host.
  hostsFile =
    cfg: extra:
    let
      values = {
        inherit (cfg) attribute checkout input;
      }
      // extra;
      # a JSON string is a TOML string, too
      line = key: "${key} = ${builtins.toJSON values.${key}}\n";
      given = builtins.filter (key: values.${key} != null) (builtins.attrNames values);
    in
    pkgs.writeText "nixfleet-hosts.toml" ''
      ${lib.optionalString (cfg.forges != null) "[defaults]\nforges = ${builtins.toJSON cfg.forges}\n"}
      [hosts.${builtins.toJSON cfg.name}]
      local = true
      ${lib.concatMapStrings line given}'';

  # config.toml, by the name that it shall have among the user's or the system's files.
  configFile =
    cfg: name:
    lib.mkIf (cfg.settings != { }) {
      ${name}.source = toml.generate "nixfleet-config.toml" cfg.settings;
    };

  # nixfleet-update as it is in PATH: it knows where this host's checkout is.
  command =
    cfg: hosts:
    script "nixfleet-update" ./update.sh {
      program = "${cfg.package}/bin/nixfleet-update";
      inherit hosts;
    };

  # nixfleet-agent as it is in PATH.
  wrapper =
    cfg: command: elevation:
    pkgs.callPackage ./agent-wrapper.nix (
      {
        inherit (cfg.selfUpdateWrapper) agent;
        update = "${command}/bin/nixfleet-update";
      }
      // elevation
    );

  # The agent's program in a command line, a list of words or a shell script; null when it is in none.
  agentIn =
    command:
    lib.findFirst (lib.hasSuffix "/bin/nixfleet-agent") null (
      lib.splitString " " (builtins.replaceStrings [ "\n" ] [ " " ] (toString command))
    );

  assertions = cfg: [
    {
      assertion = cfg.selfUpdateWrapper.enable -> cfg.selfUpdateWrapper.agent != null;
      message = "programs.nixfleet-update.selfUpdateWrapper.agent must be set: services.nixfleet-agent is not enabled here";
    }
  ];
}
