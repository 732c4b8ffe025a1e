# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `nix-store` for the agent: it answers questions about the derivation, and leaves the build to `nix`.

case "${1:-} ${2:-}" in
  '--query --requisites') shift 2; printf '%s\n' "$@" ;;
  '--query --outputs') shift 2; for drv; do printf '%s\n' "${drv%.drv}"; done ;;
  '--check-validity '*)
    shift
    for path; do
      if ! [ -e "$root$path" ]; then echo "error: path '$path' is not valid" >&2; exit 1; fi
    done
    ;;
  '--realise '*) shift; exec "${0%/*}/nix" realise "$@" ;;
  '--query --references' | '--repair-path '*) ;;
  *) echo 'error: no operation specified' >&2; exit 1 ;;
esac
