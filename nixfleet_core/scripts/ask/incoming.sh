# shellcheck shell=sh
# The commits of nixcfg that a pull would bring. Changes nothing: it fetches into a temporary folder. git
# takes that for one more working tree of the same repository, so all settings of the checkout hold there.
# From the prelude: NF_CHECKOUT (absolute). Prints "REV TITLE" a line, at most 100.

incoming() {
  if ! cd "$NF_ROOT$NF_CHECKOUT" 2>/dev/null || ! nf_owner .; then
    echo "cannot enter $NF_CHECKOUT" >&2
    return 1
  fi
  if ! incoming_branch=$(nf_step_down 10 git symbolic-ref -q --short HEAD); then
    echo "detached HEAD" >&2
    return 1
  fi
  incoming_remote=$(nf_step_down 10 git config "branch.$incoming_branch.remote")
  incoming_merge=$(nf_step_down 10 git config "branch.$incoming_branch.merge")
  incoming_head=$(nf_step_down 10 git rev-parse HEAD)
  incoming_common=$(cd "$(nf_step_down 10 git rev-parse --git-common-dir)" && pwd) || return 1
  incoming_temporary=$(nf_step_down 10 mktemp -d "${TMPDIR:-/tmp}/nixfleet.XXXXXX") || return 1
  # delete it as the owner, who chose its name
  trap 'nf_step_down 10 rm -rf "$incoming_temporary"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  # shellcheck disable=SC2016 # the inner shell expands
  nf_step_down 10 sh -c 'mkdir "$1/objects" && printf "%s\n" "$2" >"$1/commondir" &&
    printf "%s\n" "$3" >"$1/HEAD"' sh "$incoming_temporary" "$incoming_common" "$incoming_head" || return 1
  set -- env GIT_DIR="$incoming_temporary" GIT_OBJECT_DIRECTORY="$incoming_temporary/objects" \
    GIT_ALTERNATE_OBJECT_DIRECTORIES="$incoming_common/objects" \
    git -c core.hooksPath=/dev/null -c core.fsmonitor=false
  nf_as_owner 60 "$@" fetch -q --no-tags --no-recurse-submodules --refmap= -- \
    "$incoming_remote" "$incoming_merge" || return 1
  nf_step_down 10 "$@" log --format='%H %s' -n 100 "$incoming_head..FETCH_HEAD"
}
