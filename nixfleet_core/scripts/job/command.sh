# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# Runs a step's command: within a limit, as root or the checkout's owner, with its output in the log. Retries
# it if its failure looks transient. From the compiled plan: NF_CHECKOUT NF_RETRY_AFTER NF_FAILURES
# NF_SWITCH_FAILURES NF_BUILDERS NF_PROGRESS NF_WARNINGS NF_TOLD NF_KEPT_OLD NF_LAN_UNREACHABLE
# NF_LAN_DENIED NF_OOM_KILLED.

# nf_try COMMAND...: run the step's command; retry it with back-off while its failure looks transient.
# sets: nf_try_count, nf_try_from, nf_try_rc
nf_try() {
  nf_try_count=1 nf_try_from=$nf_step_from
  while :; do
    nf_try_kills=$(nf_oom_kills)
    "nf_do_$NF_STEP" "$@"
    nf_try_rc=$?
    if [ "$nf_try_rc" != 0 ]; then nf_lan_is_denied; nf_tell_of_oom "$nf_try_kills"; fi
    if [ "$nf_try_rc" = 0 ] || [ "$nf_try_count" -ge "$NF_TRIES" ] || nf_cancelled; then return; fi
    # only a switch ends with these: 4 left failed units, 100 waits for a reboot
    case $NF_STEP:$nf_try_rc in rebuild:4 | rebuild:100) return ;; esac
    nf_is_transient || return
    nf_try_count=$((nf_try_count + 1))
    nf_try_wait=$((NF_RETRY_AFTER << (nf_try_count - 2)))
    nf_try_told=",\"step\":\"$NF_STEP\",\"attempt\":$nf_try_count,\"tries\":$NF_TRIES"
    nf_event retry "$nf_try_told,\"wait\":$nf_try_wait"
    nf_pause "$nf_try_wait" || return
    nf_try_from=$(nf_size "$NF_LOG")
  done
}

# nf_output: the end of this try's output, without colours (raw or escaped in JSON).
nf_output() {
  nf_output_escape=$(printf '\033')
  tail -c "+$((nf_try_from + 1))" "$NF_LOG" | tail -c 65536 | tr -d '\000' |
    sed -e "s/$nf_output_escape\\[[0-9;:]*m//g" -e 's/\\u001[bB]\[[0-9;:]*m//g'
}

# nf_said: the same without the builders' output, and without what a tool then tries itself.
nf_said() { nf_output | grep -Ev -e "$NF_BUILDERS" -e "$NF_PROGRESS"; }

# nf_messages: the lines of each message that tells of a failure. Most warnings do not, unless Nix kept what
# it had: it prints the server's answer between the warning and those words.
nf_messages() {
  nf_messages_said=$(nf_said)
  {
    if printf '%s\n' "$nf_messages_said" | grep -Eq "$NF_KEPT_OLD"; then
      printf '%s\n' "$nf_messages_said"
    else
      printf '%s\n' "$nf_messages_said" | grep -Ev "$NF_WARNINGS"
      printf '%s\n' "$nf_messages_said" | grep -E "$NF_TOLD"
    fi
  } | sed 's/\\n/\
/g'
}

# nf_is_transient: true if the weightiest known text is about a fault that passes: the first pattern that is
# found. Once the profile has moved, the build is over: then only the switch's own texts count.
nf_is_transient() {
  nf_is_transient_known=$NF_FAILURES
  if [ "$NF_STEP" = rebuild ] && nf_has_moved; then nf_is_transient_known=$NF_SWITCH_FAILURES; fi
  nf_is_transient_said=$(nf_messages | grep -Ev "$NF_BUILDERS")
  nf_is_transient_built=$({ nf_output; nf_messages; } | grep -E "$NF_BUILDERS")
  while read -r nf_is_transient_kind nf_is_transient_where nf_is_transient_pattern; do
    case $nf_is_transient_where in
      built) nf_is_transient_words=$nf_is_transient_built ;;
      *) nf_is_transient_words=$nf_is_transient_said ;;
    esac
    if printf '%s\n' "$nf_is_transient_words" | grep -Eq "$nf_is_transient_pattern"; then
      [ "$nf_is_transient_kind" = transient ]
      return
    fi
  done <<EOT
$nf_is_transient_known
EOT
  return 1
}

# nf_oom_kills: how many of this job's processes the kernel has killed because memory ran out (cgroup v2).
nf_oom_kills() {
  nf_oom_kills_group=''
  while IFS= read -r nf_oom_kills_line; do
    case $nf_oom_kills_line in 0::*) nf_oom_kills_group=${nf_oom_kills_line#0::} ;; esac
  done <"$NF_ROOT/proc/self/cgroup"
  while read -r nf_oom_kills_key nf_oom_kills_count; do
    case $nf_oom_kills_key in oom_kill) echo "$nf_oom_kills_count" ;; esac
  done <"$NF_ROOT/sys/fs/cgroup$nf_oom_kills_group/memory.events"
} 2>/dev/null

# nf_tell_of_oom BEFORE: say so if there are more than before. The killed process has said nothing.
nf_tell_of_oom() { if [ "$(nf_oom_kills)" != "$1" ]; then nf_say "$NF_OOM_KILLED"; fi; }

# nf_lan_is_denied: true if this try may have failed because macOS, from 15 on, keeps a job from the local
# network. It says so, once: then the failure is no transient one.
nf_lan_is_denied() {
  case $NF_KERNEL in Darwin) ;; *) return 1 ;; esac
  nf_lan_is_denied_macos=$(sw_vers -productVersion 2>/dev/null)
  [ "${nf_lan_is_denied_macos%%.*}" -ge 15 ] 2>/dev/null || return 1
  nf_lan_is_denied_words=$(nf_said)
  printf '%s\n' "$nf_lan_is_denied_words" | grep -Eq "$NF_LAN_UNREACHABLE" || return 1
  printf '%s\n' "$nf_lan_is_denied_words" | grep -Fq "$NF_LAN_DENIED" || nf_say "$NF_LAN_DENIED"
}

nf_run() {
  nf_say "\$ $*"
  nf_quietly "$@"
}

# nf_in_checkout FUNCTION WORD...: call it in the checkout; the job itself stays in /.
nf_in_checkout() {
  cd "$NF_ROOT$NF_CHECKOUT" || return
  "$@"
  nf_in_checkout_code=$?
  cd / || return
  return "$nf_in_checkout_code"
}

# nf_within SECONDS FUNCTION WORD...: call a function whose commands get this limit.
# sets: NF_LIMIT
nf_within() {
  nf_within_was=$NF_LIMIT NF_LIMIT=$1
  shift
  "$@"
  nf_within_code=$? NF_LIMIT=$nf_within_was
  return "$nf_within_code"
}

# Nix waits minutes for a silent server, and between its own tries. A fetch must fail soon instead, and
# we retry it where everybody sees it.
NF_NIX_FETCHES='connect-timeout = 15
stalled-download-timeout = 30
download-attempts = 1'

# nf_quietly COMMAND...: run it within the limit, as root or as the checkout's owner, with its output in
# the log (stdout in NF_OUT if set). A cancellation ends it. The limit ends no activation (nf_watch_limit).
# sets: NF_EXEC, NF_NIX_CONFIG
nf_quietly() {
  case $NF_STEP in
    rebuild | rollback) nf_quietly_limit=$((NF_LIMIT + NF_ACTIVATION)) ;;
    *) nf_quietly_limit=$NF_LIMIT ;;
  esac
  nf_open_pipe "$NF_LOG"
  nf_quietly_log_reader=$nf_open_pipe_reader nf_quietly_out_reader=''
  exec 6>&8
  if [ -n "$NF_OUT" ]; then nf_open_pipe "$NF_OUT"; nf_quietly_out_reader=$nf_open_pipe_reader; fi
  (
    exec 8>&- 6>&-
    # the agent needs no checkout, which may be gone
    case $NF_STEP in stop | start | restart | verify) cd / ;; *) cd "$NF_ROOT$NF_CHECKOUT" || exit 1 ;; esac
    NF_EXEC='exec'
    case $NF_WHO in
      owner)
        case $NF_STEP in preflight | update) NF_NIX_CONFIG=$NF_NIX_FETCHES ;; esac
        nf_as_owner "$nf_quietly_limit" "$@"
        ;;
      *) nf_bounded "$nf_quietly_limit" "$@" ;;
    esac
  ) >&8 2>&6 </dev/null &
  nf_quietly_pid=$!
  exec 8>&- 6>&-
  echo "$nf_quietly_pid" >"$NF_RUN/pid"
  if [ "$nf_quietly_limit" != "$NF_LIMIT" ]; then echo "$nf_quietly_pid $NF_LIMIT" >"$NF_RUN/limit"; fi
  nf_quietly_began=$(nf_now)
  if nf_cancelled; then nf_cancel; fi # a cancellation a moment ago found no process to end
  nf_await "$nf_quietly_pid" 2>/dev/null # the shell tells of a killed command
  nf_quietly_code=$?
  # at the limit `timeout` says 124, but 137 if it had to kill, and busybox's 143; before it somebody else did
  case $nf_quietly_code in
    137 | 143) if [ $(($(nf_now) - nf_quietly_began)) -ge "$NF_LIMIT" ]; then nf_quietly_code=124; fi ;;
  esac
  if [ -e "$NF_RUN/late" ] && [ "$(cat "$NF_RUN/late")" = "$nf_quietly_pid" ]; then nf_quietly_code=124; fi
  rm -f "$NF_RUN/pid" "$NF_RUN/limit" "$NF_RUN/late"
  nf_await_reader "$nf_quietly_log_reader"
  nf_await_reader "$nf_quietly_out_reader"
  return "$nf_quietly_code"
}

# nf_eval_into FILE WORD...: nix eval as the checkout's owner: its answer goes to FILE, its other words to the
# log.
# sets: NF_OUT, NF_WHO
nf_eval_into() {
  nf_eval_into_who_was=$NF_WHO NF_WHO=owner NF_OUT=$1
  shift
  : >"$NF_OUT"
  nf_quietly nix --extra-experimental-features 'nix-command flakes' eval --raw --no-write-lock-file "$@"
  nf_eval_into_code=$? NF_WHO=$nf_eval_into_who_was NF_OUT=''
  return "$nf_eval_into_code"
}
