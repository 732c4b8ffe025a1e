# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# What runs after the job, as it can be shown.

# nf_runs_installed: the last nf_see_units has proof that the installed program, or one that it starts, runs.
nf_runs_installed() {
  case $nf_look_proof in exe | script) ;; *) return 1 ;; esac
  nf_is_one "$nf_look_path" "$agent_installed" "$nf_look_starts"
}

# nf_keep_proof: save a probe of the host after the job; in memory if the disk is full.
nf_keep_proof() {
  cd /
  nf_keep_place
  (probe_whole 2>/dev/null) | cat >"$NF_RUN/after" # in a subshell: it has variables of our names
  if cp "$NF_RUN/after" "$NF_JOB/.after" 2>/dev/null && nf_publish after; then
    rm -f "$NF_RUN/after"
  else
    rm -f "$NF_JOB/.after"
  fi
  if [ -r "$NF_JOB/after" ]; then nf_keep_proven <"$NF_JOB/after"; fi
  nf_keep_changes
}

NF_KEEP_PROOFS=5

# nf_keep_proven: keep the proof of a look on stdin under the job's id; everybody on the host may read it.
# Root does not write there if somebody else can.
# sets: NF_TRUSTED
nf_keep_proven() {
  nf_keep_place
  NF_TRUSTED=: # look anew
  nf_keep_proven_dir=${NF_JOBS%/jobs}/proofs
  case $NF_PLATFORM in home-manager) ;; *) nf_is_trusted "${NF_JOBS%/jobs}" || return ;; esac
  mkdir -p "$nf_keep_proven_dir" && chmod 755 "$nf_keep_proven_dir" && nf_proofs >/dev/null || return
  if nf_record proof >"$nf_keep_proven_dir/.$NF_ID" && chmod 644 "$nf_keep_proven_dir/.$NF_ID"; then
    mv -f "$nf_keep_proven_dir/.$NF_ID" "$nf_keep_proven_dir/$NF_ID"
  else
    rm -f "$nf_keep_proven_dir/.$NF_ID"
  fi
  nf_keep_newest "$NF_KEEP_PROOFS" "$nf_keep_proven_dir"
} 2>/dev/null

# nf_prove_commit: HEAD has the commit of flake.lock now, so the state has another name. Nix reads the same
# files, so what was proven of the state before holds for this one, too.
nf_prove_commit() {
  nf_prove_commit_file=$(nf_proofs)/$NF_ID
  nf_prove_commit_trees=$(nf_step_down 10 git rev-parse 'HEAD^^{tree}' 'HEAD^{tree}' HEAD:./flake.lock)
  # shellcheck disable=SC2086 # three ids
  set -- $nf_prove_commit_trees
  if [ "$#" != 3 ] || ! grep -qx "source $1-$3" "$nf_prove_commit_file"; then return 0; fi
  nf_prove_commit_new=$(nf_proofs)/.$NF_ID
  if { cat "$nf_prove_commit_file" && sed "s/^source $1-$3\$/source $2-$3/" "$nf_prove_commit_file"; } \
    >"$nf_prove_commit_new" && chmod 644 "$nf_prove_commit_new"; then
    mv -f "$nf_prove_commit_new" "$nf_prove_commit_file"
  else
    rm -f "$nf_prove_commit_new"
  fi
} 2>/dev/null

# nf_ask_agent: run the agent's own --check, if it has one. The answer is logged, and decides nothing.
# An agent without that flag could start a second time, so its help must name the flag. Its check also tries
# the network, and gives up after 10 s itself.
nf_ask_agent() {
  nf_may_ask || return 0
  nf_agent_says 5 --help
  if [ "$?,$NF_MANAGER" = 126,launchd ]; then
    nf_say "the agent's own --check is left out, if it has one: its settings cannot be seen or told apart"
    return 0
  fi
  grep -Eq -e '(^|[^[:alnum:]-])--?check([^[:alnum:]-]|$)' "$NF_RUN/said" || return 0
  nf_agent_says 15 --check
  nf_ask_agent_says=$?
  nf_say "the agent's own --check ended with $nf_ask_agent_says; it said:"
  nf_ask_agent_place=",\"said\":$(nf_size "$NF_LOG")"
  nf_say "$(cat "$NF_RUN/said")"
  nf_ask_agent_place="$nf_ask_agent_place,\"log\":$(nf_size "$NF_LOG")"
  case $nf_ask_agent_says in
    0) nf_event check ',"check":"agent","ok":true'"$nf_ask_agent_place" ;;
    124 | 137 | 142) nf_event check ',"check":"agent","ok":false,"reason":"timeout"'"$nf_ask_agent_place" ;;
    *) nf_event check ',"check":"agent","ok":false,"reason":"failed"'"$nf_ask_agent_place" ;;
  esac
}

# nf_may_ask: we run an agent's program only if it provably runs already. It must be in the store, it must
# belong to root or the store's owner, and nobody else may write to it.
# sets: nf_may_ask_program
nf_may_ask() {
  nf_runs_installed && nf_may_ask_program=$(nf_stored "$NF_ROOT$nf_look_path") || return 1
  # shellcheck disable=SC2012 # a store path has a plain name
  nf_may_ask_store_owner=$(ls -ldn "$NF_ROOT/nix/store/." | awk '{print $3}')
  # shellcheck disable=SC2012 # a store path has a plain name
  ls -ldn "$NF_ROOT$nf_may_ask_program" | awk -v owner="$nf_may_ask_store_owner" '
    NR == 1 { exit !($1 ~ /^-....[^w]..[^w]/ && ($3 == 0 || $3 == owner)) }'
}

# nf_agent_says SECONDS FLAG: run nf_may_ask_program for at most so long, with the user and the settings of
# the agent's process; 126 if these cannot be had. The beginning of its output goes to NF_RUN/said. In a
# subshell, whose owner is the agent's user.
nf_agent_says() (
  : >"$NF_RUN/said"
  nf_agent_says_uid=$(nf_agents_uid)
  [ -n "$nf_agent_says_uid" ] || return 126
  nf_know_owner "$nf_agent_says_uid"
  cd /
  nf_into "$NF_RUN/said" nf_step_down "$1" sh -c "$NF_WITH_SETTINGS" \
    sh "$NF_ROOT/proc/$agent_pid/environ" "$agent_pid" "$NF_ROOT$nf_may_ask_program" "$2" 2>/dev/null
)

# nf_agents_uid: the user of the agent's process, as the kernel knows it. On a Mac it must be us.
nf_agents_uid() {
  case $NF_MANAGER in
    launchd) ps -o uid= -p "$agent_pid" 2>/dev/null | awk -v uid="$NF_UID" '$1 == uid {print $1}' ;;
    *) awk '$1 == "Uid:" {print $2}' "$NF_ROOT/proc/$agent_pid/status" 2>/dev/null ;;
  esac
}

# sh ENVIRON PID PROGRAM FLAG: the settings may be secret: they never stand in an argv, and only the agent's
# own user reads them. Settings that sh cannot export are left out. Without ENVIRON, on a Mac, ps shows the
# settings behind the arguments, with blanks between them and nothing quoted. We take NixFleet's own, and none
# if one of them holds a blank, or a backslash, as ps writes a newline. The rest is as in the job.
# shellcheck disable=SC2016 # the inner shell expands
NF_WITH_SETTINGS='
settings() {
  if [ -r "$1" ]; then tr "\000" "\n" <"$1"; return; fi
  ps -E -ww -o command= -p "$2" 2>/dev/null | awk -F "[ ]" "{
    for (i = 1; i <= NF; i++)
      if (\$i ~ /^NIXFLEET_[A-Z0-9_]*=/) {
        ours = 1; said = said \$i \"\n\"; if (index(\$i, \"\\\\\")) bad = 1
      } else if (\$i ~ /^[A-Za-z_][A-Za-z0-9_]*=/) ours = 0
      else if (ours) bad = 1
  } END { if (bad || said == \"\") exit 1; printf \"%s\", said }"
}
[ -r "$1" ] || settings "$1" "$2" >/dev/null || exit 126
exec 3>&1
rc=$({ settings "$1" "$2" | {
  while IFS= read -r setting; do
    case $setting in
      (NOTIFY_SOCKET=* | [!A-Za-z_]*) ;;
      (*=*) if (export "$setting") 2>/dev/null; then export "$setting"; fi ;;
    esac
  done
  "$3" "$4" </dev/null 2>&1 3>&- 4>&-
  echo "$?" >&4
} | head -c 4000 >&3; } 4>&1)
exit "${rc:-126}"'
