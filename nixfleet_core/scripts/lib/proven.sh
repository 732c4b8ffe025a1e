# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables go to the parts beside it, and come from them
# What looks with proof have shown. A proof says which path a state of the checkout builds, and which path a
# process runs. Everybody on the host may read root's proofs: they hold paths, names and ids, no URLs.

NF_KEEP_PROOFS=5

# nf_proofs: the folder of the proofs; false if somebody could have written there who must not.
nf_proofs() {
  nf_proofs_at=${NF_JOBS%/jobs}/proofs
  case $NF_PLATFORM in
    home-manager) nf_trust_look "$nf_proofs_at" && [ "$nf_trust_uid" = "$NF_UID" ] && ! nf_trust_is_open ;;
    *) nf_is_trusted "$nf_proofs_at" ;;
  esac || return
  printf '%s\n' "$nf_proofs_at"
}

# nf_proof_files DIR: the files of the proofs, oldest first.
nf_proof_files() {
  for nf_proof_files_file in "$1"/*; do
    if nf_is_job_id "${nf_proof_files_file##*/}"; then printf '%s\n' "$nf_proof_files_file"; fi
  done
}

# nf_began PID: when it began, as its kernel counts: no change of the clock moves that.
nf_began() {
  if [ -r "$NF_ROOT/proc/$1/stat" ]; then
    # the program's name stands in brackets, and may hold anything
    sed -n 's/.*) //p' "$NF_ROOT/proc/$1/stat" 2>/dev/null | tail -n 1 | cut -d' ' -f20
  else
    nf_started "$1"
  fi
}

# --- in a look

# One proof: a line for each value. A value of several lines is left out; without it, the proof proves less.
probe_proof() {
  echo proof
  put_proven at "$(nf_now)"
  put_proven by "${SUDO_USER:-$NF_USER}"
  put_proven job "${NF_JOB##*/}"
  put_proven boot "$(nf_boot)"
  probe_proof_system=$(nf_real "$(probe_active)")
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
  [ -n "$probe_expected_path" ] || return 0
  put_proven builds "$probe_expected_path"
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
