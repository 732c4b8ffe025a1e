{
  description = "The lab's nixfleet: a compiled stand-in for the agent";

  outputs = { self }:
    let
      system = "@system@";
      version = builtins.replaceStrings [ "\n" ] [ "" ] (builtins.readFile ./VERSION);
    in
    {
      packages.${system}.default = derivation {
        inherit system version;
        name = "nixfleet-agent-${version}";
        # A program and no script, so that /proc/PID/exe names the store path.
        agent = ./agent;
        builder = "/bin/sh";
        PATH = "/usr/bin:/bin";
        args = [ "-euc" "echo building nixfleet-agent $version; mkdir -p $out/bin; install $agent $out/bin/nixfleet-agent" ];
      };
    };
}
