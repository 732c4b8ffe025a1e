# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# The commit that flake.lock should name: what the input's repository says, and whether the lock has it.
# From the compiled plan: NF_CHECKOUT NF_INPUT NF_WANT_REV NF_GIT_REFUSED NF_KEPT_OLD.

# nf_is_ref NAME: true if git allows a ref of that name, as is_ref in nix/refs.py has it.
nf_is_ref() { case $1 in '' | *[[:cntrl:][:space:]~^:?*[\\]*) return 1 ;; esac; }

# nf_ref_names REF KIND TAKES: the full names that an input's ref can mean, as ref_names in nix/refs.py has
# them. KIND and TAKES: fields of NF_LOCK_VALUES.
nf_ref_names() {
  case $1 in
    '' | HEAD) echo HEAD; return ;;
    refs/*) echo "$1"; return ;;
  esac
  case $2,$3 in
    git,) echo "refs/heads/$1" ;;
    *) echo "refs/$1 refs/heads/$1 refs/tags/$1" ;;
  esac
}

# nf_ref_find FILE NAME...: what `git ls-remote` wrote there, as find_ref in nix/refs.py reads it: the commit,
# and the objects that the refs themselves name; no-ref; ambiguous; or nothing if it is no list of refs.
nf_ref_find() {
  nf_ref_find_file=$1
  shift
  awk -F '\t' -v names="$*" '
    NF != 2 || length($1) != 40 || $1 ~ /[^0-9a-f]/ { bad = 1 }
    { at[$2] = $1 }
    END {
      if (bad || NR == 0) exit
      count = split(names, wanted, " ")
      for (i = 1; i <= count; i++) {
        name = wanted[i]
        if (!(name in at)) continue
        commit = (name "^{}" in at) ? at[name "^{}"] : at[name]
        if (found != "" && commit != found) many = 1
        found = commit
        objects = objects " " at[name]
      }
      print (found == "" ? "no-ref" : many ? "ambiguous" : found objects)
    }' "$nf_ref_find_file"
}

# nf_want: puts the commit that the lock should name into nf_want_commit: 40 hex digits; "none" if the
# repository names none; or "unknown". nf_want_why says why it is none (no-ref, refused, unreachable) or
# unknown (refused: Nix may have what opens the repository; ambiguous; no-git). nf_want_objects: what may
# stand in the lock for the commit, too.
# sets: nf_want_commit, nf_want_objects, nf_want_why
nf_want() {
  nf_want_why='' nf_want_objects='' nf_want_commit=$NF_WANT_REV
  if [ -z "$nf_want_commit" ]; then nf_want_commit=$(nf_field 5); fi
  if [ -n "$nf_want_commit" ]; then return; fi
  nf_want_commit=unknown nf_want_why=no-git
  # git would get the query as an argument, and everybody can read arguments
  if [ -z "$(nf_field 2)" ] || [ "$(nf_field 7)" = query ]; then return; fi
  nf_want_ref=$(nf_field 3)
  if [ -n "$nf_want_ref" ] && ! nf_is_ref "$nf_want_ref"; then
    nf_want_commit=none nf_want_why=no-ref
    return
  fi
  nf_want_names=$(nf_ref_names "$nf_want_ref" "$(nf_field 1)" "$(nf_field 8)")
  # shellcheck disable=SC2086 # a name a word; none has a blank or a sign that the shell expands
  nf_ask_refs $nf_want_names
  case $nf_ask_refs_says in
    refused)
      # Nix fetches with git, too, unless a forge's API gives it the source
      nf_want_why=refused
      case $(nf_field 1) in git) nf_want_commit=none ;; esac
      ;;
    '') nf_want_commit=none nf_want_why=unreachable ;;
    no-ref) nf_want_no_ref "$nf_want_ref" ;;
    ambiguous) nf_want_why=ambiguous ;;
    *) nf_want_why='' nf_want_commit=${nf_ask_refs_says%% *} nf_want_objects=${nf_ask_refs_says#* } ;;
  esac
}

# nf_want_no_ref REF: the repository has no such ref. A commit, perhaps shortened, is no ref: it never
# moves, and git cannot be asked for it.
# sets: nf_want_commit, nf_want_why
nf_want_no_ref() {
  nf_want_commit=none nf_want_why=no-ref
  if nf_is_commit_of "$1" "$(nf_field 4)"; then nf_want_commit=$(nf_field 4) nf_want_why=''; fi
}

# nf_is_commit_of REF REV: true if REF is that commit, as is_commit_of in nix/refs.py has it.
nf_is_commit_of() {
  case $1 in *[!0-9a-f]* | '' | ? | ?? | ???) return 1 ;; esac
  case $2 in "$1"*) ;; *) return 1 ;; esac
}

# nf_ask_refs NAME...: ask the input's repository for these refs, the commits behind tags, and HEAD, which
# shows that it answers at all. As for Nix, the checkout's own settings for URLs do not count.
# sets: NF_OUT, nf_ask_refs_says (as nf_ref_find has it; or refused)
nf_ask_refs() {
  nf_ask_refs_names=$*
  for nf_ask_refs_name in "$@"; do
    shift
    set -- "$@" "$nf_ask_refs_name" "$nf_ask_refs_name^{}"
  done
  case $nf_ask_refs_names in HEAD) ;; *) set -- "$@" HEAD ;; esac
  NF_OUT=$NF_RUN/ls-remote
  : >"$NF_OUT"
  nf_ask_refs_from=$(nf_size "$NF_LOG") nf_ask_refs_says=''
  if nf_ask_url "$@"; then
    # shellcheck disable=SC2086 # a name a word, as above
    nf_ask_refs_says=$(nf_ref_find "$NF_OUT" $nf_ask_refs_names)
  elif tail -c "+$((nf_ask_refs_from + 1))" "$NF_LOG" | grep -Eq "$NF_GIT_REFUSED"; then
    nf_ask_refs_says=refused
  fi
  NF_OUT=''
}

nf_ask_url() {
  case $(nf_field 7) in
    '') nf_within 60 nf_quietly git -C / ls-remote -- "$(nf_field 2)" "$@" ;;
    *)
      nf_within 60 nf_quietly sh -c "$NF_ASK_URL" sh nix --extra-experimental-features 'nix-command flakes' \
        eval --impure --raw --argstr lock "$NF_ROOT$NF_CHECKOUT/flake.lock" \
        --argstr input "$NF_INPUT" --expr "$NF_LOCK_NIX" given AND -C / ls-remote -- URL "$@"
      ;;
  esac
}

nf_has_commit() { case $nf_want_commit in none | unknown) return 1 ;; esac; }

# nf_lock_names COMMIT: true if the lock has the wanted commit, or a tag's object that leads to it.
nf_lock_names() {
  [ -n "$1" ] || return
  case " $nf_want_commit $nf_want_objects " in *" $1 "*) ;; *) return 1 ;; esac
}

# nf_lock_reached: true if the lock names the commit that its repository names.
# sets: NF_STEP_REASON
nf_lock_reached() {
  NF_STEP_REASON=stale
  nf_lock_reached_has=$(nf_field 4)
  case $nf_want_commit,$nf_want_why in
    # there is no answer to compare with: only Nix can say that its fetch failed
    unknown,*) if nf_said | grep -Eq "$NF_KEPT_OLD"; then return 1; fi ;;
    none,no-ref) NF_STEP_REASON=no-ref; return 1 ;;
    none,*) NF_STEP_REASON=latest-unknown; return 1 ;;
    *)
      nf_lock_reached_wants=$nf_want_commit
      # as the lock names it, for all who compare the two later
      if nf_lock_names "$nf_lock_reached_has"; then nf_lock_reached_wants=$nf_lock_reached_has; fi
      echo "$nf_lock_reached_wants" >"$NF_JOB/latest" && nf_share "$NF_JOB/latest" && nf_keep latest
      if [ "$nf_lock_reached_has" != "$nf_lock_reached_wants" ]; then return 1; fi
      ;;
  esac
  NF_STEP_REASON=''
}
