# shellcheck shell=sh
# shellcheck disable=SC2153,SC2154 # its variables come from the parts beside it
# What looks with proof have shown. A proof says which path a state of the checkout builds, and which path a
# process runs. Everybody on the host may read root's proofs: they hold paths, names and ids, no URLs.

# nf_proofs: the folder of the proofs; false if somebody could have written there who must not.
nf_proofs() { nf_kept_folder proofs; }

# nf_kept_folder NAME: the folder of that name beside the jobs; false as above.
nf_kept_folder() {
  nf_kept_folder_at=${NF_JOBS%/jobs}/$1
  case $NF_PLATFORM in
    home-manager)
      nf_trust_look "$nf_kept_folder_at" && [ "$nf_trust_uid" = "$NF_UID" ] && ! nf_trust_is_open
      ;;
    *) nf_is_trusted "$nf_kept_folder_at" ;;
  esac || return
  printf '%s\n' "$nf_kept_folder_at"
}

# nf_began PID: when it began, as its kernel counts: no change of the clock moves that.
nf_began() {
  if ! [ -r "$NF_ROOT/proc/$1/stat" ]; then nf_started "$1"; return; fi
  nf_began_fields=''
  while IFS= read -r nf_began_line || [ -n "$nf_began_line" ]; do nf_began_fields=$nf_began_line; done \
    <"$NF_ROOT/proc/$1/stat"
  # the program's name stands in brackets, and may hold anything
  nf_began_fields=${nf_began_fields##*) }
  # shellcheck disable=SC2086 # a field a word; the 22nd of proc(5)
  set -- $nf_began_fields
  shift 19 2>/dev/null && printf '%s\n' "$1"
} 2>/dev/null

# --- in a look

# One proof: a line for each value. A value of several lines is left out; without it, the proof proves less.
probe_proof() {
  echo proof
  put_proven at "$(nf_now)"
  put_proven by "${SUDO_USER:-$NF_USER}"
  put_proven job "${NF_JOB##*/}"
  put_proven boot "$(nf_boot)"
  probe_proof_system=$(nf_real "$(nf_active)")
  put_proven system "${probe_proof_system#"$NF_ROOT"}"
  put_proven installed "$agent_installed"
  case $nf_look_proof in
    exe | script)
      put_proven pid "$agent_pid"
      put_proven began "$(nf_began "$agent_pid")"
      put_proven running "$nf_look_path"
      put_proven kind "$nf_look_proof"
      put_proven starts "$nf_look_starts"
      ;;
  esac
  case $probe_expected_path,$probe_expected_error in
    ?*,) put_proven builds "$probe_expected_path" ;;
    *,eval) put_proven fails 1 ;;
    *) return 0 ;;
  esac
  put_proven source "$nf_source_name"
  put_proven checkout "${probe_dir#"$NF_ROOT"}"
  put_proven folder "$nf_source_folder"
  put_proven attribute "$NF_ATTRIBUTE"
  put_proven chosen "$NF_CHOSEN"
  put_proven input "$NF_INPUT"
  # a client reads the commit in flake.lock itself
  if [ -n "$NF_JOB" ]; then
    put_proven commit "$(nf_lock "$probe_dir/flake.lock" "$NF_INPUT" 2>/dev/null | cut -f4)"
  fi
}

# put_proven KEY VALUE
put_proven() {
  case $2 in
    '' | *"
"*) ;;
    *) printf '%s %s\n' "$1" "$2" ;;
  esac
}
