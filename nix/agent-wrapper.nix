# A package with bin/nixfleet-agent that knows --self-update and otherwise becomes the real agent.
#
#   pkgs.callPackage ./agent-wrapper.nix {
#     agent = "${nixfleet-agent}/bin/nixfleet-agent";
#     update = "${nixfleet-tui}/bin/nixfleet-update";
#   }
#
# `launcher`: what those who are not root call through `sudo`; empty where nobody becomes root.
{
  lib,
  writeScriptBin,
  agent,
  update,
  launcher ? "",
  sudo ? "sudo",
}:
import ./script.nix { inherit lib writeScriptBin; } "nixfleet-agent" ./agent-wrapper.sh {
  inherit
    agent
    update
    launcher
    sudo
    ;
}
