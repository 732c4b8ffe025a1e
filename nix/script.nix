# Makes a command of a script file: each @NAME@ in it becomes the value of that name, quoted for sh.
{ lib, writeScriptBin }:
name: file: values:
writeScriptBin name (
  builtins.replaceStrings (map (key: "@${key}@") (builtins.attrNames values)) (map (
    value: lib.escapeShellArg "${value}"
  ) (builtins.attrValues values)) (builtins.readFile file)
)
