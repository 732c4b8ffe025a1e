# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# What NixOS's switch depends on beside the configuration: the parts that it does not exchange while a system
# runs, and the specialisation that runs.

# Would NixOS refuse to switch to what the flake builds as it stands? That ends no update: the flake may be
# another one after the pull.
# sets: nf_check_why
nf_check_switch() {
  if [ "$NF_PLATFORM" = home-manager ]; then return 0; fi
  nf_check_switch_now=$(nf_inhibitors "$(nf_active)")
  case $nf_check_switch_now in '' | '{}') return 0 ;; esac
  if nf_in_checkout nf_is_refused; then return 0; fi
  nf_ask_flake config.system.switch "$(nf_inhibited_words "$nf_check_switch_now")" || return 0
  if [ -z "$nf_ask_flake_says" ]; then return 0; fi
  nf_check_why=inhibited
  nf_say "preflight: NixOS will not switch to the new system while this one runs, as these parts change:" \
    "$nf_ask_flake_says. The new system will be installed, and needs a boot"
}

# True if this flake is known to refuse the tree as it lies there: nothing can be asked of it before the pull.
nf_is_refused() { [ "$NF_DIRTY_TREES" = refuses ] && nf_tree_status && nf_is_dirty "$probe_status"; }

# nf_inhibited_words TEXT: the function that names the parts of an option's value that TEXT, the running
# system's file, has otherwise. facts/inhibitors.py has the same rule.
nf_inhibited_words() {
  # shellcheck disable=SC2016 # Nix's own $
  printf 'switch: let text = "%s"; %s' "$(printf '%s\n' "$1" | sed 's/[\\"$]/\\&/g')" '
    new = switch.inhibitors or { };
    isNamed = builtins.substring 0 1 text == "{";
    old = builtins.fromJSON text;
    isOther = name: new ? ${name} && new.${name} != old.${name};
    named = builtins.filter isOther (builtins.attrNames old);
    lines = builtins.filter (line: builtins.isString line && line != "") (builtins.split "\n" text);
    paths = map toString new;
    isIn = all: one: builtins.elem one all;
    lost = builtins.filter (path: !isIn lines path) paths;
    others = lost ++ builtins.filter (line: !isIn paths line) lines;
    package = path: builtins.substring 33 200 (baseNameOf path);
  in if builtins.isAttrs new then (if isNamed then builtins.concatStringsSep " " named else "")
    else if isNamed then "" else builtins.concatStringsSep " " (map package others)'
}

# nf_keep_specialisation: true if the host runs a specialisation, and the new system will have it, too.
# sets: nf_keep_specialisation_name
nf_keep_specialisation() {
  if [ "$NF_PLATFORM" = home-manager ]; then return 1; fi
  nf_keep_specialisation_name=$(nf_specialisation) || return 1
  # shellcheck disable=SC2016 # Nix's own $
  nf_ask_flake config.specialisation \
    "all: if all ? \"$nf_keep_specialisation_name\" then \"yes\" else \"\"" || return 1
  if [ -n "$nf_ask_flake_says" ]; then return 0; fi
  nf_say "the new system does not have the specialisation $nf_keep_specialisation_name, which runs: the" \
    "host leaves it"
  return 1
}

# nf_ask_flake ATTRIBUTE FUNCTION: what the function makes of that attribute of this host's configuration.
# sets: nf_ask_flake_says
nf_ask_flake() {
  nf_ask_flake_says=''
  nf_within "$NF_EVALUATION" nf_eval_into "$NF_RUN/asked" --apply "$2" "$(nf_flake)#$(nf_configuration).$1" ||
    return
  nf_ask_flake_says=$(head -c 1000 "$NF_RUN/asked")
}
