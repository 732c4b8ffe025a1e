# shellcheck shell=sh
# The commits of nixcfg that a pull would bring. Changes nothing: what is fetched goes to a
# temporary repository that borrows the checkout's objects.
# From the prelude: NF_CHECKOUT (absolute). Prints "REV TITLE" a line, at most 100.

incoming() {
  dir=$NF_ROOT$NF_CHECKOUT
  if ! cd "$dir" 2>/dev/null || ! nf_owner .; then echo "cannot enter $NF_CHECKOUT" >&2; return 1; fi
  branch=$(nf_step_down 10 git symbolic-ref -q --short HEAD) || { echo "detached HEAD" >&2; return 1; }
  remote=$(nf_step_down 10 git config "branch.$branch.remote")
  merge=$(nf_step_down 10 git config "branch.$branch.merge")
  head=$(nf_step_down 10 git rev-parse HEAD)
  objects=$(cd "$(nf_step_down 10 git rev-parse --git-path objects)" && pwd)
  temporary=$(nf_step_down 10 mktemp -d "${TMPDIR:-/tmp}/nixfleet.XXXXXX") || return 1
  # as the owner, who has said what it is called
  trap 'nf_step_down 10 rm -rf "$temporary"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  nf_step_down 10 git init -q --bare "$temporary" || return 1
  # shellcheck disable=SC2016 # the inner shell expands
  nf_step_down 10 sh -c 'printf "%s\n" "$1" >"$2/objects/info/alternates"' sh "$objects" "$temporary" || return 1
  nf_as_owner 60 sh -c "$NF_ASK_URL" sh git remote get-url "$remote" AND \
    --git-dir="$temporary" fetch -q -- URL "$merge" || return 1
  nf_step_down 10 git --git-dir="$temporary" log --format='%H %s' -n 100 "$head..FETCH_HEAD"
}
