# Home Manager's configurations, as far as the agent is concerned: what can be evaluated, and a generation.
{ sh, agent, chain, knobs }:
let
  home = files: config: {
    activationPackage = sh "home-manager-generation" ./home-generation.sh {
      inherit chain;
      inherit (knobs) fail_switch restart;
      files = sh "home-manager-files" ./home-files.sh ({
        inherit agent;
        inherit (knobs) session;
        unit = "";
        plist = "";
      } // files);
      packages = sh "home-manager-path" ./home-path.sh { };
      activate = ./home-activate.sh;
    };
    config = config // {
      news.json.output = builtins.toFile "news.json" ''{"display":"silent","entries":[]}'';
    };
  };
  # What NixFleet's module lets bash run on a Mac: some lines that wait for the network, then the agent.
  start = builtins.replaceStrings [ "@agent@" ] [ "${agent}" ] (builtins.readFile ./agent-start.bash);
in
{
  linux = home { unit = ./nixfleet-agent.user.service; } {
    systemd.user.services.nixfleet-agent.Service.ExecStart = "${agent}/bin/nixfleet-agent";
  };
  darwin = home { plist = ./com.nixfleet.agent.plist; inherit start; } {
    launchd.agents.nixfleet-agent.config = {
      Label = "com.nixfleet.agent";
      ProgramArguments = [ "/bin/bash" "-c" start ];
    };
  };
}
