# A system of many units, as the release of that name has it. `base` is the lab's own system, whose agent and
# tools go on.
{ release, base }:
let
  sh = name: script: env: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" script ];
    PATH = "/usr/bin:/bin";
  } // env);

  # sleep by another name: it runs until it is ended
  program = name: version: sh "${name}-${version}" ''
    mkdir -p "$out/bin"
    cp /usr/bin/sleep "$out/bin/${name}"
  '' { };

  script = sh "watch-${release}" ''
    printf '%s\n' '#!/bin/sh' "# ${release}" 'sleep infinity & wait' >"$out"
    chmod +x "$out"
  '' { };

  wrapped = program ".wrap-wrapped" release;
  wrapper = sh "wrap-${release}" ''
    mkdir -p "$out/bin"
    printf '%s\n' '#!/bin/sh' "exec $wrapped/bin/.wrap-wrapped \"\$@\"" >"$out/bin/wrap"
    chmod +x "$out/bin/wrap"
  '' { inherit wrapped; };

  library = sh "libextra-${release}" ''
    mkdir -p "$out/lib"
    cp -L /usr/lib/*/libcap.so.2 "$out/lib/libextra.so"
  '' { };

  part = name: version: sh "${name}-${version}" ''echo "$name" >"$out"'' { };
in
sh "nixos-system-debt-${release}" (builtins.readFile ./system.sh) {
  base = builtins.storePath base;
  inherit script wrapper library;
  steady = program "steady" "1.0";
  plain = program "plain" release;
  deleted = program "deleted" release;
  kernel = part "linux" release;
  initrd = part "initrd" "1.0";
  modules = part "modules" "1.0";
}
