# What the checks and the tests need, without pip: ruff check, mypy, pytest ...
{
  mkShell,
  callPackage,
  git,
  python3,
  shellcheck,
  shfmt,
  tmux,
}:
mkShell {
  inputsFrom = [ (callPackage ./package.nix { }) ];
  packages = [
    git
    shellcheck
    shfmt
    tmux
    (python3.withPackages (python: [
      python.hypothesis
      python.import-linter
      python.mypy
      python.packaging
      python.pytest
      python.pytest-asyncio
      python.pytest-textual-snapshot
      python.pytest-xdist
      python.ruff
    ]))
  ];
}
