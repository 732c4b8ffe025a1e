# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables go to the parts that use it, and come from them
# What is evaluated and built of the checkout in the current folder, whose owner nf_owner has found: the files
# as they lie there; or, where the flake refuses a dirty tree, the commit of the new lock. That is HEAD with
# flake.lock as it lies there, which branch, index and working tree do not know. One state makes one commit:
# its parent is HEAD, its date the later of HEAD's and the locked input's, its author the owner or else
# nixfleet, and its message says how the input moved.
# From the prelude: NF_INPUT NF_EVALUATION.

NF_LOCK_REF=refs/nixfleet/lock # in a folder that borrows the checkout's objects

# nf_flake_url TOP FOLDER REF COMMIT: the flake in that folder of the repository, at that commit.
nf_flake_url() {
  nf_flake_url_dir=${2%/}
  if [ -n "$nf_flake_url_dir" ]; then nf_flake_url_dir="&dir=$(nf_percent "$nf_flake_url_dir")"; fi
  printf 'git+file://%s?ref=%s&rev=%s%s\n' "$(nf_percent "$1")" "$3" "$4" "$nf_flake_url_dir"
}

# nf_percent PATH: as it stands in a URL; plan/steps.py has the same.
nf_percent() {
  printf '%s' "$1" | od -An -v -tx1 | awk '
    BEGIN {
      for (i = 33; i < 127; i++) {
        sign = sprintf("%c", i)
        if (sign ~ /[A-Za-z0-9\/._~-]/) plain[sprintf("%02x", i)] = sign
      }
    }
    { for (i = 1; i <= NF; i++) printf "%s", ($i in plain) ? plain[$i] : "%" toupper($i) }
    END { print "" }'
}

# nf_lock_moves: how flake.lock moves the input from what HEAD's has.
# sets: nf_lock_moves_from, nf_lock_moves_to (commits, or ""), nf_lock_moves_date (of the latter)
nf_lock_moves() {
  nf_lock_moves_values=$(nf_lock "$PWD/flake.lock" "$NF_INPUT") && nf_lock_moves_from=$(nf_head_rev) || return
  nf_lock_moves_to=$(printf '%s\n' "$nf_lock_moves_values" | cut -s -f 4)
  nf_lock_moves_date=$(printf '%s\n' "$nf_lock_moves_values" | cut -s -f 9)
}

# nf_head_rev: the input's commit in the committed lock file, from a copy that the owner makes and removes.
nf_head_rev() {
  # shellcheck disable=SC2016 # the inner shell expands
  nf_head_rev_file=$(nf_step_down 30 sh -c 'umask 077
    file=$(mktemp "${TMPDIR:-/tmp}/nixfleet.XXXXXX") &&
    git show HEAD:./flake.lock >"$file" && echo "$file"') || return
  nf_head_rev_values=$(nf_lock "$nf_head_rev_file" "$NF_INPUT")
  nf_head_rev_code=$?
  nf_step_down 10 rm -f "$nf_head_rev_file"
  printf '%s\n' "$nf_head_rev_values" | cut -s -f 4
  return "$nf_head_rev_code"
}

# nf_lock_message: after nf_lock_moves; plan/steps.py has the same.
nf_lock_message() {
  if [ -n "$nf_lock_moves_from" ] && [ -n "$nf_lock_moves_to" ]; then
    printf 'flake.lock: %s %.7s -> %.7s\n' "$NF_INPUT" "$nf_lock_moves_from" "$nf_lock_moves_to"
  else
    printf 'flake.lock: %s updated\n' "$NF_INPUT"
  fi
}

# nf_write_commit REF SIGN: the owner writes the commit of the new lock: into the checkout's repository, under
# that ref; or, if REF is "", into a folder that borrows the repository's objects. SIGN may be "".
# sets: nf_commit_id, nf_commit_flake (how Nix is to call it), nf_commit_place (that folder)
nf_write_commit() {
  nf_commit_id='' nf_commit_flake='' nf_commit_place=''
  nf_lock_moves || return
  nf_write_commit_said=$(nf_step_down 60 sh -c "$NF_NEW_COMMIT" sh "$1" "${2:-}" "$(nf_lock_message)" \
    "${nf_lock_moves_date:-0}") || return
  {
    IFS= read -r nf_write_commit_top
    IFS= read -r nf_write_commit_folder
    IFS= read -r nf_commit_id
  } <<EOT
$nf_write_commit_said
EOT
  case $nf_commit_id in '' | *[!0-9a-f]*) return 1 ;; esac
  if [ -z "$1" ]; then nf_commit_place=$nf_write_commit_top; fi
  nf_commit_flake=$(nf_flake_url "$nf_write_commit_top" "$nf_write_commit_folder" "${1:-$NF_LOCK_REF}" \
    "$nf_commit_id")
}

# nf_forget_commit PLACE: remove what nf_write_commit has written outside of the checkout.
nf_forget_commit() { if [ -n "$1" ]; then nf_step_down 30 rm -rf "$1"; fi; }

# sh REF SIGN MESSAGE DATE: what the owner runs for it. No hook runs, and git signs only if it is told to. The
# index is one of its own, of HEAD. In a shallow clone Nix would count commits that are not there.
# shellcheck disable=SC2016 # the inner shell expands
NF_NEW_COMMIT='
ref=$1 sign=$2 message=$3 date=$4 keep=""
GIT_NO_REPLACE_OBJECTS=1; export GIT_NO_REPLACE_OBJECTS
unset GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
ours() {
  git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.splitIndex=false \
    -c i18n.commitEncoding=UTF-8 "$@"
}
who() {
  ours -c user.useConfigOnly=true var "$1" 2>/dev/null || echo "nixfleet <nixfleet@localhost> 0 +0000"
}
case $(ours rev-parse --is-shallow-repository) in (false) ;; (*) echo "a shallow clone" >&2; exit 3 ;; esac
head=$(ours rev-parse --verify "HEAD^{commit}") && folder=$(ours rev-parse --show-prefix) &&
  top=$(ours rev-parse --show-toplevel) && time=$(ours log -1 --format=%ct HEAD) &&
  objects=$(cd "$(ours rev-parse --git-path objects)" && pwd -P) || exit
if [ "$time" -gt "$date" ]; then date=$time; fi
author=$(who GIT_AUTHOR_IDENT) committer=$(who GIT_COMMITTER_IDENT)
GIT_AUTHOR_NAME=${author%% <*} GIT_AUTHOR_EMAIL=${author#*<} GIT_AUTHOR_DATE="@$date +0000"
GIT_COMMITTER_NAME=${committer%% <*} GIT_COMMITTER_EMAIL=${committer#*<} GIT_COMMITTER_DATE="@$date +0000"
GIT_AUTHOR_EMAIL=${GIT_AUTHOR_EMAIL%%>*} GIT_COMMITTER_EMAIL=${GIT_COMMITTER_EMAIL%%>*}
export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL \
  GIT_COMMITTER_DATE
place=$(mktemp -d "${TMPDIR:-/tmp}/nixfleet.XXXXXX") && place=$(cd "$place" && pwd -P) || exit
trap "exit 1" TERM INT HUP
trap "if [ -z \"\$keep\" ]; then rm -rf \"\$place\"; fi" EXIT
if [ -z "$ref" ]; then
  top=$place
  git -c init.defaultBranch=main init -q --template= "$place" && mkdir -p "$place/.git/objects/info" &&
    printf "%s\n" "$objects" >"$place/.git/objects/info/alternates" || exit
  GIT_OBJECT_DIRECTORY=$place/.git/objects
  export GIT_OBJECT_DIRECTORY
fi
GIT_INDEX_FILE=$place/index
export GIT_INDEX_FILE
blob=$(ours hash-object -w -- flake.lock) && ours read-tree "$head" &&
  ours update-index --add --cacheinfo "100644,$blob,${folder}flake.lock" && tree=$(ours write-tree) &&
  commit=$(printf "%s\n" "$message" | ours commit-tree ${sign:+-S} -p "$head" "$tree") || exit
if [ -n "$ref" ]; then
  ours update-ref -m nixfleet "$ref" "$commit" || exit
else
  mkdir -p "$place/.git/refs/nixfleet" && echo "$commit" >"$place/.git/refs/nixfleet/lock" || exit
  keep=1
fi
printf "%s\n" "$top" "$folder" "$commit"
'

# nf_is_same_source: whether Nix reads the same files from the current folder and from the commit that
# nf_write_commit has written. Filters, what git does not look at, and submodules can make them differ.
nf_is_same_source() {
  nf_is_same_source_tree=$(nf_source_hash "$PWD")
  [ -n "$nf_is_same_source_tree" ] && [ "$(nf_source_hash "$nf_commit_flake")" = "$nf_is_same_source_tree" ]
}

# nf_source_hash FLAKE: the hash of its files; of a Nix that does not tell it, the store path.
nf_source_hash() {
  nf_as_owner "$NF_EVALUATION" nix --extra-experimental-features 'nix-command flakes' flake metadata --json \
    --no-write-lock-file "$1" 2>/dev/null | awk '
    { text = text $0 }
    END {
      locked = substr(text, index(text, "\"locked\":{") + 10)
      locked = substr(locked, 1, index(locked, "}"))
      if (match(locked, /"narHash":"[^"]*"/)) { print substr(locked, RSTART, RLENGTH); exit }
      while (match(text, /"path":"[^"]*"/)) {
        path = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + 1)
      }
      print path
    }'
}

# nf_is_plain STATUS: true if flake.lock is the only difference to HEAD. STATUS is as nf_source has it.
nf_is_plain() {
  case $1 in *" flake.lock"*) nf_source_is_plain "$1" ;; *) return 1 ;; esac
}

# nf_is_dirty STATUS: true if Nix calls that tree dirty.
nf_is_dirty() { printf '%s\n' "$1" | grep -q '^[12u] '; }

# nf_system: the attribute that a rebuild builds.
nf_system() {
  case $NF_PLATFORM in
    home-manager) echo "$(nf_configuration).activationPackage" ;;
    *) echo "$(nf_configuration).config.system.build.toplevel" ;;
  esac
}

# --- what is remembered of a flake: it spares an evaluation, and decides nothing else

# nf_remembered: `refuses` or `takes` a dirty tree, as a job has seen it of this checkout with this flake.nix.
nf_remembered() {
  nf_remembered_dir=$(nf_kept_folder flakes) || return 0
  nf_remembered_line=$(head -n 1 "$nf_remembered_dir/$(nf_memory_name)" 2>/dev/null) || return 0
  case $nf_remembered_line in
    "refuses $(nf_memory_of)") echo refuses ;;
    "takes $(nf_memory_of)") echo takes ;;
  esac
}

nf_memory_name() { printf '%s' "$PWD" | cksum | tr ' ' -; }

nf_memory_of() { printf '%s %s\n' "$(nf_step_down 10 git rev-parse HEAD:./flake.nix 2>/dev/null)" "$PWD"; }
