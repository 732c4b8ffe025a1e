# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `nix-store`: it answers questions about store paths, and leaves the build to `nix`.

refuse() { echo "error: $1" >&2; exit 1; }

# stored PATH: the store path that it is, or that it links to, as the host names it.
stored() {
  stored=$(cd "$root${1#"$root"}" 2>/dev/null && pwd -P) || stored=$root${1#"$root"}
  if ! [ -e "$stored" ]; then refuse "path '$1' is not valid"; fi
  printf '%s\n' "${stored#"$root"}"
}

# references PATH: the store paths in its files, as Nix finds them.
references() {
  grep -rhoE '/nix/store/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+' "$root$1" | sort -u |
    while IFS= read -r reference; do
      if [ -e "$root$reference" ]; then printf '%s\n' "$reference"; fi
    done
}

# requisites PATH...: all that these need, themselves included, and what is needed comes first.
requisites() {
  found=''
  while [ $# -gt 0 ]; do
    path=$1
    shift
    case " $found " in *" $path "*) continue ;; esac
    found="$path $found"
    # shellcheck disable=SC2046 # a store path a word
    set -- "$@" $(references "$path")
  done
  # shellcheck disable=SC2086 # a store path a word
  printf '%s\n' $found
}

case "${1:-} ${2:-}" in
  '--query --requisites')
    shift 2
    paths=''
    for path; do path=$(stored "$path") || exit; paths="$paths $path"; done
    # shellcheck disable=SC2086 # a store path a word
    requisites $paths
    ;;
  '--query --outputs') shift 2; for drv; do printf '%s\n' "${drv%.drv}"; done ;;
  '--check-validity '*)
    shift
    for path; do
      if ! [ -e "$root$path" ]; then refuse "path '$path' is not valid"; fi
    done
    ;;
  '--realise '*) shift; exec "${0%/*}/nix" realise "$@" ;;
  '--query --references' | '--repair-path '*) ;;
  *) refuse 'no operation specified' ;;
esac
