{
  lib,
  python3Packages,
  fetchPypi,
  git,
  openssh,
}:
let
  inherit (builtins.fromTOML (builtins.readFile ../pyproject.toml)) project;

  # Textual from nixpkgs, if it is one that pyproject.toml takes; else the one that pip installs.
  bounds = builtins.match "textual>=([0-9.]+),<([0-9.]+)" (
    lib.findFirst (lib.hasPrefix "textual>=") "" project.dependencies
  );
  inherit (python3Packages.textual) version;
  fits =
    lib.versionAtLeast version (builtins.elemAt bounds 0)
    && lib.versionOlder version (builtins.elemAt bounds 1);
  # Nothing else here depends on Textual, so the other packages stay as they are.
  textual =
    if fits then
      python3Packages.textual
    else
      python3Packages.textual.overridePythonAttrs (_: rec {
        version = "8.2.8";
        src = fetchPypi {
          pname = "textual";
          inherit version;
          # the archive's hash is in requirements/run.txt, too
          hash = "sha256-PxBqn7xz453SZslxJDIIfeeKbWRAhMfCQdaiXDFpEVs=";
        };
        pyproject = true;
        build-system = [ python3Packages.poetry-core ];
        dependencies = with python3Packages; [
          linkify-it-py
          markdown-it-py
          mdit-py-plugins
          platformdirs
          pygments
          rich
          typing-extensions
        ];
        # They are for the version that nixpkgs has.
        patches = [ ];
        doCheck = false;
      });
in
python3Packages.buildPythonApplication {
  pname = project.name;
  # nixfleet_core/__init__.py says the same; a test compares them.
  version = "0.1.0";
  pyproject = true;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../LICENSE
      ../README.md
      ../pyproject.toml
      ../nixfleet_core
      ../tui
    ];
  };

  build-system = [ python3Packages.setuptools ];

  dependencies = [
    python3Packages.click
    python3Packages.humanize
    python3Packages.msgspec
    python3Packages.platformdirs
    textual
  ];

  # After the user's own: an ssh with FIDO or Kerberos must win.
  makeWrapperArgs = [
    "--suffix"
    "PATH"
    ":"
    (lib.makeBinPath [
      git
      openssh
    ])
  ];

  postInstall = ''
    install -Dm444 LICENSE -t "$out/share/licenses/nixfleet-tui"
  '';

  # The tests drive git, sshd and terminals of the machine they run on: see the Makefile.
  doCheck = false;
  pythonImportsCheck = [
    "nixfleet_core"
    "tui"
  ];

  meta = {
    inherit (project) description;
    homepage = project.urls.NixFleet;
    license = lib.licenses.gpl3Plus; # project.license says the same in SPDX's words
    mainProgram = "nixfleet";
    platforms = lib.platforms.unix;
  };
}
