# shellcheck shell=sh
# The commits of nixcfg that a pull would bring. Changes nothing: it fetches into a temporary
# repository that borrows the checkout's objects.
# From the prelude: NF_CHECKOUT (absolute). Prints "REV TITLE" a line, at most 100.

incoming() {
  incoming_dir=$NF_ROOT$NF_CHECKOUT
  if ! cd "$incoming_dir" 2>/dev/null || ! nf_owner .; then echo "cannot enter $NF_CHECKOUT" >&2; return 1; fi
  if ! incoming_branch=$(nf_step_down 10 git symbolic-ref -q --short HEAD); then
    echo "detached HEAD" >&2
    return 1
  fi
  incoming_remote=$(nf_step_down 10 git config "branch.$incoming_branch.remote")
  incoming_merge=$(nf_step_down 10 git config "branch.$incoming_branch.merge")
  incoming_head=$(nf_step_down 10 git rev-parse HEAD)
  incoming_objects=$(cd "$(nf_step_down 10 git rev-parse --git-path objects)" && pwd)
  incoming_temporary=$(nf_step_down 10 mktemp -d "${TMPDIR:-/tmp}/nixfleet.XXXXXX") || return 1
  # delete it as the owner, who chose its name
  trap 'nf_step_down 10 rm -rf "$incoming_temporary"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  nf_step_down 10 git init -q --bare "$incoming_temporary" || return 1
  # shellcheck disable=SC2016 # the inner shell expands
  nf_step_down 10 sh -c 'printf "%s\n" "$1" >"$2/objects/info/alternates"' \
    sh "$incoming_objects" "$incoming_temporary" || return 1
  nf_as_owner 60 sh -c "$NF_ASK_URL" sh git remote get-url "$incoming_remote" AND \
    --git-dir="$incoming_temporary" fetch -q -- URL "$incoming_merge" || return 1
  nf_step_down 10 git --git-dir="$incoming_temporary" log --format='%H %s' -n 100 "$incoming_head..FETCH_HEAD"
}
