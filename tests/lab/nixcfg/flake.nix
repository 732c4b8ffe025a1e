{
  description = "The lab's nixcfg: no nixpkgs, /bin/sh builds everything (sandbox = false)";

  # Without ref, Nix 2.8 would ask for "master".
  inputs.nixfleet.url = "git+@nixfleet@?ref=main";
  inputs.other.url = "git+@other@?ref=main";

  outputs = { self, nixfleet, other }:
    let
      system = "@system@";
      hosts = [ "csb0" "csb1" "gpc0" ];
      knobs = builtins.fromJSON (builtins.readFile ./lab.json);
      agent = nixfleet.packages.${system}.default;

      sh = name: script: env: derivation ({
        inherit name system;
        builder = "/bin/sh";
        args = [ "-eu" script ];
        PATH = "/usr/bin:/bin";
      } // env);

      # Steps one after the other, to have progress to look at.
      step = n: after: sh "lab-step-${toString n}" ./step.sh {
        inherit n after;
        inherit (knobs) lines;
        version = agent.version;
        pause = toString (knobs.slow / (5.0 * knobs.lines));
        fail = n == 4 && knobs.fail_build;
        hungry = n == 3 && knobs.hungry;
      };
      chain = step 5 (step 4 (step 3 (step 2 (step 1 ""))));

      rebuilder = sh "nixos-rebuild" ./nixos-rebuild.sh { };

      toplevel = host: special: sh "nixos-system-${host}-26.05.lab" ./toplevel.sh {
        inherit agent chain rebuilder host special;
        inherit (knobs) fail_switch;
        # as NixOS 26.05 writes them: JSON, or paths, a line each, as at first
        inhibitors = with builtins; if isAttrs knobs.inhibitors then toJSON knobs.inhibitors
          else concatStringsSep "\n" knobs.inhibitors;
        specialisation = if special == "" then knobs.specialisation else "";
        specialised = if special == "" && knobs.specialisation != ""
          then toplevel host knobs.specialisation else "";
        revision = if knobs.strict
          then self.rev or (throw "refusing to build from a dirty tree") else "";
        unit = ./nixfleet-agent.service;
        switch = ./switch-to-configuration.sh;
      };

      nixos = host: {
        config.system.build = { toplevel = toplevel host ""; nixos-rebuild = rebuilder; };
        config.system.switch.inhibitors = knobs.inhibitors;
        config.specialisation = if knobs.specialisation == "" then { } else { ${knobs.specialisation} = { }; };
        config.systemd.services.nixfleet-agent.serviceConfig.ExecStart =
          "${agent}/bin/nixfleet-agent";
      };

      homes = import ./homes.nix { inherit sh agent chain knobs; };

      each = f: names: builtins.listToAttrs (map f names);
    in
    {
      nixosConfigurations = each (host: { name = host; value = nixos host; }) hosts;
      homeConfigurations = {
        "ops@hsb1" = homes.linux;
        hsb1 = homes.linux;
        "eve@hsb1" = homes.linux;
        "markus@imac0" = homes.darwin;
        imac0 = homes.darwin;
      };
      packages.${system} = { inherit agent chain; };
    };
}
