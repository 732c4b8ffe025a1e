# Packages that /bin/sh of the lab's hosts can build.
{ system, lib }:
let
  build = name: script: env: derivation ({
    inherit name system;
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin";
    args = [ "-euc" script ];
  } // env) // { meta = { }; };

  pkgs = {
    inherit lib;
    stdenv.hostPlatform.isDarwin = builtins.match ".*-darwin" system != null;

    callPackage = file: given:
      let f = import file; in f (builtins.intersectAttrs (builtins.functionArgs f) pkgs // given);

    writeText = name: text: builtins.toFile name text;
    writeScriptBin = name: text:
      build name ''mkdir -p "$out/bin"; printf %s "$text" > "$out/bin/$name"; chmod +x "$out/bin/$name"'' { inherit text; };
    runCommand = name: env: script: build name script env;
    mkShell = shell: build "shell" "echo shell > $out" { inherit (shell) packages; };

    # The program itself lies on the lab's host: the package only leads there.
    python3Packages = {
      setuptools = tool "setuptools";
      click = tool "click";
      humanize = tool "humanize";
      msgspec = tool "msgspec";
      platformdirs = tool "platformdirs";
      textual = tool "textual";
      buildPythonApplication = package:
        build "${package.pname}-${package.version}" ''
          mkdir -p "$out/bin"
          for command in nixfleet nixfleet-update; do ln -s "/usr/local/bin/$command" "$out/bin/$command"; done
        '' { } // { inherit (package) meta; };
    };
    python3.withPackages = f: tool (toString (builtins.length (f (lib.genAttrs
      [ "hypothesis" "import-linter" "mypy" "pytest" "pytest-asyncio" "pytest-textual-snapshot" "ruff" ] tool))));
    git = tool "git";
    openssh = tool "openssh";
    shellcheck = tool "shellcheck";
    shfmt = tool "shfmt";
    tmux = tool "tmux";
  };
  tool = name: build name "mkdir $out" { };
in
pkgs
