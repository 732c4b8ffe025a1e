# A home of a Mac with some agents, as the release of that name has it. `base` is the lab's own home, whose
# agent goes on.
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
    cp /opt/mac/gnu/sleep "$out/bin/${name}"
  '' { };

  script = sh "watch-${release}" ''
    mkdir -p "$out/bin"
    printf '%s\n' '#!/bin/sh' "# ${release}" 'sleep 9999 & wait' >"$out/bin/watch"
    chmod +x "$out/bin/watch"
  '' { };

  library = sh "libextra-${release}" ''
    mkdir -p "$out/lib"
    cp -L /usr/lib/*/libcap.so.2 "$out/lib/libextra.so"
  '' { };
in
sh "home-manager-generation" (builtins.readFile ./home.sh) {
  base = builtins.storePath base;
  inherit release script library;
  steady = program "steady" "1.0";
  plain = program "plain" release;
  deleted = program "deleted" release;
}
