{
  description = "Just enough of nixpkgs to evaluate and build this project's Nix files without it";

  outputs = { self }: {
    lib = import ./lib.nix;
    legacyPackages = self.lib.genAttrs [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ] (
      system: import ./pkgs.nix { inherit system; lib = self.lib; }
    );
  };
}
