# The module system: options declared, definitions merged by type, mkIf, mkMerge, mkDefault and mkForce,
# unknown options and values of the wrong type refused.
lib:
let
  inherit (builtins) all any attrNames concatLists concatMap filter foldl' head isAttrs isBool isFunction isInt
    isList isString map mapAttrs match removeAttrs;

  isType = type: value: isAttrs value && value._type or "" == type;
  show = path: builtins.concatStringsSep "." path;
  strip = value: if isType "override" value then value.content else value;
  rank = value: if isType "override" value then value.priority else 100;

  # mkIf and mkMerge moved one level down, so that names are known before conditions are
  push = value:
    if isType "merge" value then concatMap push value.contents
    else if isType "if" value then map (mapAttrs (_: lib.mkIf value.condition)) (push value.content)
    else [ value ];

  # the values that hold
  settle = value:
    if isType "merge" value then concatMap settle value.contents
    else if isType "if" value then (if value.condition then settle value.content else [ ])
    else [ value ];

  strongest = values:
    let least = foldl' (low: value: if rank value < low then rank value else low) 10000 values;
    in map strip (filter (value: rank value == least) values);

  mergeType = type: path: values:
    if all type.check values then type.merge path values
    else throw "A definition for option `${show path}' is not of type `${type.name}'.";

  evalOption = path: option: definitions:
    let values = strongest (concatMap settle definitions);
    in
    if values != [ ] then mergeType option.type path values
    else if option ? default then mergeType option.type path [ option.default ]
    else if option.type ? empty then option.type.empty
    else throw "The option `${show path}' is used but not defined.";

  evalTree = path: options: definitions:
    let
      pushed = concatMap push definitions;
      unknown = filter (name: !(options ? ${name})) (concatMap attrNames pushed);
      eval = name: option:
        (if isType "option" option then evalOption else evalTree) (path ++ [ name ]) option
          (map (definition: definition.${name}) (filter (definition: definition ? ${name}) pushed));
    in
    if unknown != [ ] then throw "The option `${show (path ++ [ (head unknown) ])}' does not exist."
    else mapAttrs eval options;

  one = path: values:
    if all (value: value == head values) values then head values
    else throw "The option `${show path}' has conflicting definition values.";

  simple = name: check: { inherit name check; merge = one; };

  names = sets: attrNames (foldl' (all: set: all // set) { } sets);
  each = type: path: values:
    let
      pushed = concatMap push values;
      of = name: strongest (concatMap (set: if set ? ${name} then settle set.${name} else [ ]) pushed);
    in
    builtins.listToAttrs (map (name: { inherit name; value = mergeType type (path ++ [ name ]) (of name); })
      (filter (name: of name != [ ]) (names pushed)));
in
{
  evalModules = { modules, pkgs }:
    let
      load = module:
        let
          value = if isAttrs module || isFunction module then module else import module;
          set = if isFunction value then value { inherit config lib pkgs; } else value;
        in
        concatMap load (set.imports or [ ]) ++ [ set ];
      loaded = concatMap load modules;
      options = foldl' lib.recursiveUpdate { } (map (module: module.options or { }) loaded);
      definitions = map (module: module.config or (removeAttrs module [ "imports" "options" ])) loaded;
      config = evalTree [ ] options definitions;
    in
    { inherit config options; };

  mkOption = option: option // { _type = "option"; };
  mkEnableOption = what: lib.mkOption {
    type = lib.types.bool;
    default = false;
    description = "Whether to enable ${what}.";
  };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkDefault = content: { _type = "override"; priority = 1000; inherit content; };
  mkForce = content: { _type = "override"; priority = 50; inherit content; };

  types = rec {
    anything = {
      name = "anything";
      check = _: true;
      merge = path: values:
        if all isList values then concatLists values
        else if all isAttrs values && !any (value: value ? outPath) values then each anything path values
        else one path values;
    };
    str = simple "string" isString;
    bool = simple "boolean" isBool;
    int = simple "integer" isInt;
    package = simple "package" (value: value ? outPath);
    ints.unsigned = simple "unsigned integer" (value: isInt value && value >= 0);
    strMatching = pattern: simple "string matching ${pattern}" (value: isString value && match pattern value != null);
    nullOr = type: type // {
      name = "null or ${type.name}";
      check = value: value == null || type.check value;
      merge = path: values: if all (value: value == null) values then null else type.merge path values;
    };
    listOf = type: {
      name = "list of ${type.name}";
      check = value: isList value && all type.check value;
      merge = _: concatLists;
      empty = [ ];
    };
    attrsOf = type: {
      name = "attribute set of ${type.name}";
      check = isAttrs;
      merge = each type;
      empty = { };
    };
  };
}
