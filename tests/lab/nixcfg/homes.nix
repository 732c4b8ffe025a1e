# Home Manager's configurations, as far as the agent is concerned: what can be evaluated, and a generation.
{ sh, agent, chain, knobs }:
let
  home = files: config: {
    activationPackage = sh "home-manager-generation" ./home-generation.sh {
      inherit chain;
      inherit (knobs) fail_switch restart;
      files = sh "home-manager-files" ./home-files.sh ({ inherit agent; unit = ""; plist = ""; } // files);
      packages = sh "home-manager-path" ./home-path.sh { };
      activate = ./home-activate.sh;
    };
    config = config // {
      news.json.output = builtins.toFile "news.json" ''{"display":"silent","entries":[]}'';
    };
  };
in
{
  linux = home { unit = ./nixfleet-agent.user.service; } {
    systemd.user.services.nixfleet-agent.Service.ExecStart = "${agent}/bin/nixfleet-agent";
  };
  darwin = home { plist = ./com.nixfleet.agent.plist; } {
    launchd.agents."com.nixfleet.agent".config.ProgramArguments =
      [ "/bin/sh" "-c" "exec ${agent}/bin/nixfleet-agent" ];
  };
}
