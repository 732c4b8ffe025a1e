# Packages that /bin/sh of the lab's hosts can build.
{ system, lib, textual ? "8.2.8" }:
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

    formats.toml = _: { type = lib.types.attrsOf lib.types.anything; generate = name: value: pkgs.writeText name (toml value); };
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
      linkify-it-py = tool "linkify-it-py";
      markdown-it-py = tool "markdown-it-py";
      mdit-py-plugins = tool "mdit-py-plugins";
      poetry-core = tool "poetry-core";
      pygments = tool "pygments";
      rich = tool "rich";
      typing-extensions = tool "typing-extensions";
      textual = python "textual" { version = textual; src = "nixpkgs"; };
      buildPythonApplication = package:
        build "${package.pname}-${package.version}" ''
          mkdir -p "$out/bin"
          for command in nixfleet nixfleet-update; do ln -s "/usr/local/bin/$command" "$out/bin/$command"; done
        '' { } // { inherit (package) meta dependencies; };
    };
    python3.withPackages = f: tool (toString (builtins.length (f (lib.genAttrs
      [ "hypothesis" "import-linter" "mypy" "pytest" "pytest-asyncio" "pytest-textual-snapshot" "ruff" ] tool))));
    fetchPypi = source: source;
    git = tool "git";
    openssh = tool "openssh";
    shellcheck = tool "shellcheck";
    shfmt = tool "shfmt";
    tmux = tool "tmux";
  };
  # the values before the tables; JSON's texts, numbers and lists are TOML, too
  toml = value:
    let
      names = builtins.attrNames value;
      isTable = name: builtins.isAttrs value.${name};
      line = name: "${name} = ${builtins.toJSON value.${name}}\n";
      table = name: "[${name}]\n${toml value.${name}}";
    in
    lib.concatMapStrings line (builtins.filter (name: !(isTable name)) names)
    + lib.concatMapStrings table (builtins.filter isTable names);
  tool = name: build name "mkdir $out" { };
  # as buildPythonPackage: a package that knows how to be made of other arguments
  python = name: given: tool name // given // {
    overridePythonAttrs = change: python name (given // change given);
  };
in
pkgs
