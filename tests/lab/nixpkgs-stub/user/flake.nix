{
  description = "A user's configurations with programs.nixfleet-update; `wrong` has those that must not evaluate";

  inputs.nixpkgs.url = "path:@stub@";
  inputs.project.url = "path:@project@";
  inputs.project.inputs.nixpkgs.follows = "nixpkgs";

  outputs = { self, nixpkgs, project }:
    let
      inherit (nixpkgs) lib;
      agent = { services.nixfleet-agent = { enable = true; program = "@agent@"; }; };
      update = settings: { programs.nixfleet-update = { enable = true; } // settings; };

      nixos = modules: lib.nixosSystem {
        system = "@system@";
        modules = [ project.nixosModules.default { networking.hostName = "csb1"; } ] ++ modules;
      };
      home = system: modules: lib.homeManagerConfiguration {
        inherit system;
        modules = [ project.homeModules.default { home.homeDirectory = "/home/ops"; home.profileDirectory = "/home/ops/.nix-profile"; } ] ++ modules;
      };

      checkout = "/home/ops/Code/nixcfg";
      settings = { refresh = 120; theme = "light"; on-finish = [ "notify-send" "a \"b\"" ]; limits.rebuild = 7200; };
      everything = { inherit settings; selfUpdateWrapper.enable = true; timer.enable = true; };
      onNixos = [ agent { services.nixfleet-agent.user = "watcher"; } ];

      # what became of a configuration, by name; packages as their store paths
      systemOf = { config, ... }: {
        inherit (config) assertions systemd;
        inherit (config.security) sudo sudo-rs;
        packages = config.environment.systemPackages;
        files = builtins.mapAttrs (_: file: "${file.source}") config.environment.etc;
      };
      homeOf = { config, ... }: {
        inherit (config) assertions systemd launchd;
        inherit (config.home) packages;
        files = builtins.mapAttrs (_: file: "${file.source}") config.xdg.configFile;
      };
      # what would be in PATH: the later wins here, lib.hiPrio there
      pathOf = packages: nixpkgs.legacyPackages.@system@.runCommand "path" { inherit packages; } ''
        mkdir -p $out/bin
        for package in $packages; do ln -sf $package/bin/* $out/bin; done
      '';
      namesOf = prefix: options: builtins.concatLists (builtins.attrValues (builtins.mapAttrs (name: option:
        if option._type or "" == "option"
        then [ { name = prefix + name; described = option ? description && builtins.stringLength option.description > 10; } ]
        else namesOf "${prefix}${name}." option) options));
    in
    {
      nixosConfigurations = {
        off = nixos [ { programs.nixfleet-update.enable = false; } ];
        plain = nixos [ (update { inherit checkout; }) ];
        everything = nixos (onNixos ++ [ (update ({ inherit checkout; groups = [ "wheel" ]; } // everything)) ]);
        other = nixos [
          (update {
            checkout = "/srv/my \"nix\" cfg";
            attribute = "csb1-server";
            name = "cloud";
            input = "fleet";
            users = [ "ops" "pw" ];
            selfUpdateWrapper = { enable = true; agent = "/opt/agent's/bin/nixfleet-agent"; };
            timer = { enable = true; calendar = "weekly"; randomizedDelaySec = 0; };
          })
        ];
        wrapperWithoutAgent = nixos [ (update { inherit checkout; selfUpdateWrapper.enable = true; }) ];
      };

      homeConfigurations = {
        off = home "@system@" [ ];
        plain = home "@system@" [ (update { }) ];
        everything = home "@system@" [ agent (update everything) ];
        mac = home "aarch64-darwin" [ agent (update (everything // { attribute = "markus@imac0"; })) ];
        nextMac = home "aarch64-darwin" [
          agent
          (update (everything // { package = nixpkgs.legacyPackages.aarch64-darwin.git; checkout = "~/nixcfg"; }))
        ];
      };

      wrong = builtins.mapAttrs (_: module: systemOf (nixos [ module ])) {
        noCheckout = update { };
        relativeCheckout = update { checkout = "Code/nixcfg"; };
        homeCheckout = update { checkout = "~/Code/nixcfg"; };
        oddInput = update { inherit checkout; input = "nix fleet"; };
        oddName = update { inherit checkout; name = "../etc"; };
        oddAttribute = update { inherit checkout; attribute = "a\"b"; };
        unknownOption = update { inherit checkout; force = true; };
        negativeDelay = update { inherit checkout; timer = { enable = true; randomizedDelaySec = -1; }; };
      };

      path = {
        nixos = builtins.mapAttrs (_: { config, ... }: pathOf config.environment.systemPackages) self.nixosConfigurations;
        home = builtins.mapAttrs (_: { config, ... }: pathOf config.home.packages) self.homeConfigurations;
      };

      seen = {
        nixos = builtins.mapAttrs (_: systemOf) self.nixosConfigurations;
        home = builtins.mapAttrs (_: homeOf) self.homeConfigurations;
        # Textual as the package has it, by the version that nixpkgs has
        textual = lib.genAttrs [ "6.2.1" "8.0.0" "8.9" "9.0.0" ] (version:
          let package = (lib.pkgsWithTextual version "@system@").callPackage "${project}/nix/package.nix" { };
          in map (one: { inherit (one) version src; }) (builtins.filter (one: one ? version) package.dependencies));
        meta = project.packages.@system@.default.meta;
        options = {
          nixos = namesOf "" self.nixosConfigurations.plain.options.programs.nixfleet-update;
          home = namesOf "" self.homeConfigurations.plain.options.programs.nixfleet-update;
        };
      };
    };
}
