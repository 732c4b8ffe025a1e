{
  description = "Force-update NixFleet agents from the terminal, and prove that the new one runs";

  inputs.nixpkgs.url = "github:nixos/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      eachSystem = f: nixpkgs.lib.genAttrs systems (system: f system nixpkgs.legacyPackages.${system});
    in
    {
      nixosModules.default.imports = [ ./nix/nixos-module.nix ];
      homeModules.default.imports = [ ./nix/home-manager-module.nix ];

      overlays.default = final: _prev: { nixfleet-tui = final.callPackage ./nix/package.nix { }; };

      packages = eachSystem (_: pkgs: { default = pkgs.callPackage ./nix/package.nix { }; });

      apps = eachSystem (
        system: _:
        let
          app = command: description: {
            type = "app";
            program = "${self.packages.${system}.default}/bin/${command}";
            meta = { inherit description; };
          };
        in
        rec {
          default = nixfleet;
          nixfleet = app "nixfleet" "The fleet in the terminal";
          nixfleet-update = app "nixfleet-update" "Update the host it runs on";
        }
      );

      devShells = eachSystem (_: pkgs: { default = pkgs.callPackage ./nix/shell.nix { }; });

      checks = eachSystem (
        system: pkgs: {
          package = self.packages.${system}.default;
          scripts = pkgs.runCommand "nixfleet-scripts" { nativeBuildInputs = [ pkgs.shellcheck ]; } ''
            shellcheck ${./nix}/*.sh ${./nixfleet_core/scripts}/*/*.sh
            touch $out
          '';
        }
      );
    };
}
