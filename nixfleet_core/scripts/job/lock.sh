# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# flake.lock: what it names, and copies of it. What it should name: latest.sh.
# From the compiled plan: NF_CHECKOUT NF_INPUT.

# nf_field N: of NF_LOCK_VALUES: kind, url, ref, rev, pinned, pin, what the URL hides, what the ref can be,
# the date of rev
nf_field() {
  nf_field_rest="$NF_LOCK_VALUES$nf_tab" nf_field_left=$1
  while [ "$nf_field_left" -gt 1 ]; do
    nf_field_rest=${nf_field_rest#*"$nf_tab"} nf_field_left=$((nf_field_left - 1))
  done
  printf '%s\n' "${nf_field_rest%%"$nf_tab"*}"
}
nf_tab=$(printf '\t')

# nf_read_lock: what flake.lock names.
# sets: NF_LOCK_VALUES
nf_read_lock() { NF_LOCK_VALUES=$(nf_logged nf_lock "$NF_ROOT$NF_CHECKOUT/flake.lock" "$NF_INPUT"); }

nf_sum_of_lock() { nf_owner_cat "$NF_ROOT$NF_CHECKOUT/flake.lock" | cksum; }
NF_LOCK_SUM='' # of the lock that the preflight has looked at; "" if there is none

# nf_pin: lock the input to the wanted commit, and read the lock. The input keeps its source, so a later plain
# update follows the branch again. A URL with a login or a query is refused: it would stand in the arguments.
# sets: NF_STEP_REASON
nf_pin() {
  if [ -n "$(nf_field 7)" ]; then
    nf_pin_hidden="its URL has a user name, a password or a query, which everybody could read then"
    nf_fail credentials "$NF_INPUT is not locked to a commit: $nf_pin_hidden"
    return
  fi
  nf_say "flake.lock gets $NF_INPUT at $nf_want_commit, which its repository names"
  nf_quietly nix --extra-experimental-features 'nix-command flakes' flake lock \
    --override-input "$NF_INPUT" "$(nf_field 6)$nf_want_commit" && nf_read_lock
}

# nf_lock_kind FILE: what its owner sees: missing, link, large, other (not a regular file) or file.
nf_lock_kind() {
  # shellcheck disable=SC2016 # the inner shell expands
  nf_step_down 20 sh -c 'if [ -L "$1" ]; then echo link; elif ! [ -e "$1" ]; then echo missing
    elif ! [ -f "$1" ]; then echo other
    elif [ "$(($(wc -c <"$1")))" -gt "$2" ]; then echo large; else echo file; fi' \
    sh "$1" "$NF_LOCK_LIMIT" 2>/dev/null | head -c 20
}

# nf_lock_fits: true if flake.lock is missing or can be kept.
# sets: nf_lock_fits_kind (as nf_lock_kind has it) and nf_lock_fits_why (a token for what is wrong)
nf_lock_fits() {
  nf_lock_fits_why='' nf_lock_fits_kind=$(nf_lock_kind "$NF_ROOT$NF_CHECKOUT/flake.lock")
  case $nf_lock_fits_kind in
    file | missing) return 0 ;;
    link)
      nf_lock_fits_why=lock-link
      nf_say "flake.lock is a link: it is not copied, and not updated; put a file there"
      ;;
    large)
      nf_lock_fits_why=lock-large
      nf_say "flake.lock is larger than $((NF_LOCK_LIMIT / 1024)) KiB: it is not copied, and not updated"
      ;;
    *) nf_lock_fits_why=lock-broken; nf_say "flake.lock is no file that $NF_OWNER can read" ;;
  esac
  return 1
}

# nf_lock_in_git: the path of flake.lock in the repository, which may begin above the flake.
nf_lock_in_git() { printf '%sflake.lock\n' "$(nf_git rev-parse --show-prefix)"; }

# nf_save_lock NAME: keep one copy of flake.lock with the job; half a copy is deleted. A second copy of the
# same text is a second name.
# sets: NF_STEP_REASON, nf_save_lock_sum (the `cksum` of flake.lock)
nf_save_lock() {
  if [ -e "$NF_JOB/$1" ]; then return 0; fi
  nf_save_lock_sum=$(nf_sum_of_lock)
  if [ -e "$NF_JOB/flake.lock.before" ] &&
    [ "$(cksum <"$NF_JOB/flake.lock.before")" = "$nf_save_lock_sum" ] &&
    ln "$NF_JOB/flake.lock.before" "$NF_JOB/$1" 2>/dev/null; then
    nf_keep "$1"
    return
  fi
  if [ "$nf_save_lock_sum" != "$NF_LOCK_SUM" ]; then
    if ! nf_lock_fits; then NF_STEP_REASON=$nf_lock_fits_why; return 1; fi
    if [ "$nf_lock_fits_kind" = missing ]; then return 0; fi
  fi
  if nf_into "$NF_JOB/.$1" nf_owner_cat "$NF_ROOT$NF_CHECKOUT/flake.lock" &&
    [ "$(cksum <"$NF_JOB/.$1")" = "$nf_save_lock_sum" ]; then
    nf_share "$NF_JOB/.$1"
    mv -f "$NF_JOB/.$1" "$NF_JOB/$1"
    nf_keep "$1"
  else
    rm -f "$NF_JOB/.$1"
    nf_say "flake.lock could not be saved"
    return 1
  fi
}

# nf_put_lock FILE: the owner puts that copy back, whole at once. On a full disk the owner overwrites
# the lock in place.
nf_put_lock() {
  [ -r "$1" ] || return 0
  (
    cd "$NF_ROOT$NF_CHECKOUT" || exit 1
    if [ "$(cksum <"$1")" = "$(nf_owner_cat flake.lock | cksum)" ]; then exit 0; fi
    # shellcheck disable=SC2016 # the inner shell expands
    nf_step_down 30 sh -c 'new=.flake.lock.nixfleet
      { cat <&3 >$new && mv -f $new flake.lock; } || { rm -f $new; cat <&4 >flake.lock; }' 3<"$1" 4<"$1" &&
      nf_say "flake.lock is as it was again"
  )
}

# After a failure before the profile moved: bring back a dirty lock, and the lock that a failed update
# left half written.
nf_undo_lock() {
  case $NF_STEP in
    push) nf_in_checkout nf_take_back_commit; return ;;
    commit) nf_in_checkout nf_undo_forward; return ;;
  esac
  case $NF_STEP in
    pull | update | repair | build | rebuild) ;;
    rollback) if nf_is_back; then nf_put_lock "$NF_JOB/flake.lock.before"; fi; return ;; # cut short
    *) return ;;
  esac
  if [ "$(nf_profile)" != "$(cat "$NF_RUN/profile" 2>/dev/null)" ]; then return; fi
  if [ -e "$NF_RUN/lock-restored" ]; then
    nf_put_lock "$NF_JOB/flake.lock.before"
  elif [ "$NF_STEP" = update ]; then
    nf_put_lock "$NF_JOB/flake.lock.pulled"
  fi
}
