# What of nixpkgs' lib the project uses, by its names and with its results. Plain values only where the
# real one knows more.
let
  inherit (builtins) concatStringsSep elemAt filter head isAttrs isString length listToAttrs map match replaceStrings
    split stringLength substring;

  modules = import ./modules.nix lib;

  lib = modules // {
    genAttrs = names: f: listToAttrs (map (name: { inherit name; value = f name; }) names);
    recursiveUpdate = old: new:
      if isAttrs old && isAttrs new
      then old // builtins.mapAttrs (name: value: if old ? ${name} then lib.recursiveUpdate old.${name} value else value) new
      else new;
    last = list: elemAt list (length list - 1);
    findFirst = good: default: list: let found = filter good list; in if found == [ ] then default else head found;
    optional = condition: value: if condition then [ value ] else [ ];
    optionalString = condition: text: if condition then text else "";
    concatMapStrings = f: list: concatStringsSep "" (map f list);
    # like nixpkgs', and unlike builtins.split, it keeps what the text refers to
    splitString = separator: text:
      map (part: substring 0 0 text + part) (filter isString (split separator text));
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    versionOlder = one: other: builtins.compareVersions other one == 1;
    versionAtLeast = one: other: !(lib.versionOlder one other);
    hasSuffix = suffix: text:
      let n = stringLength suffix; m = stringLength text; in m >= n && substring (m - n) n text == suffix;
    escapeShellArg = text:
      if match "[[:alnum:],._+:@%/-]+" text != null then text else "'${replaceStrings [ "'" ] [ "'\\''" ] text}'";
    literalExpression = text: { _type = "literalExpression"; inherit text; };
    hiPrio = package: package // { meta = (package.meta or { }) // { priority = -10; }; };
    makeBinPath = packages: concatStringsSep ":" (map (package: "${package}/bin") packages);
    fileset = { toSource = { root, fileset }: root; unions = paths: paths; };
    licenses.gpl3Plus = { spdxId = "GPL-3.0-or-later"; };
    platforms.unix = [ "unix" ];

    # as `nixpkgs.lib.nixosSystem` and Home Manager's `homeManagerConfiguration`
    nixosSystem = { system, modules }:
      lib.evalModules { modules = [ ./nixos.nix ] ++ modules; pkgs = lib.pkgsFor system; };
    homeManagerConfiguration = { system, modules }:
      lib.evalModules { modules = [ ./home-manager.nix ] ++ modules; pkgs = lib.pkgsFor system; };
    pkgsFor = system: import ./pkgs.nix { inherit system lib; };
    pkgsWithTextual = textual: system: import ./pkgs.nix { inherit system lib textual; };
  };
in
lib
