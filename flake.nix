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
      packages = eachSystem (_: pkgs: { default = pkgs.callPackage ./nix/package.nix { }; });

      apps = eachSystem (
        system: _: {
          default = {
            type = "app";
            program = "${self.packages.${system}.default}/bin/nixfleet";
            meta.description = "The fleet in the terminal";
          };
        }
      );
    };
}
