{
  lib,
  python3Packages,
  git,
  openssh,
}:
python3Packages.buildPythonApplication {
  pname = "nixfleet-tui";
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

  dependencies = with python3Packages; [
    click
    humanize
    msgspec
    platformdirs
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

  # The tests drive git, sshd and terminals of the machine they run on: see the Makefile.
  doCheck = false;
  pythonImportsCheck = [
    "nixfleet_core"
    "tui"
  ];

  meta = {
    description = "Force-update NixFleet agents from the terminal, and prove that the new one runs";
    license = lib.licenses.gpl3Plus;
    mainProgram = "nixfleet";
    platforms = lib.platforms.unix;
  };
}
