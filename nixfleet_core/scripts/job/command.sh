# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# Runs a step's command: within a limit, as root or the checkout's owner, with its output in the log. Retries
# it if its failure looks transient. From the compiled plan: NF_CHECKOUT NF_TRANSIENT NF_PERMANENT
# NF_LAN_UNREACHABLE NF_LAN_DENIED NF_RETRY_AFTER.

# nf_try COMMAND...: run the step's command; retry it with back-off while its failure looks transient.
# sets: nf_try_count, nf_try_from, nf_try_rc
nf_try() {
  nf_try_count=1
  while :; do
    nf_try_from=$(nf_size "$NF_LOG")
    "nf_do_$NF_STEP" "$@"
    nf_try_rc=$?
    if [ "$nf_try_rc" != 0 ]; then nf_lan_is_denied; fi
    if [ "$nf_try_rc" = 0 ] || [ "$nf_try_count" -ge "$NF_TRIES" ] || nf_cancelled; then return; fi
    nf_is_transient || return
    nf_try_count=$((nf_try_count + 1))
    nf_try_wait=$((NF_RETRY_AFTER << (nf_try_count - 2)))
    nf_try_told=",\"step\":\"$NF_STEP\",\"attempt\":$nf_try_count,\"tries\":$NF_TRIES"
    nf_event retry "$nf_try_told,\"wait\":$nf_try_wait"
    nf_pause "$nf_try_wait" || return
  done
}

# The output of this try, without colours (raw or escaped in JSON), without the builders' output, and
# without the failures that Nix itself retried.
nf_said() {
  nf_said_escape=$(printf '\033')
  tail -c "+$((nf_try_from + 1))" "$NF_LOG" | tail -c 65536 |
    grep -v -e '^@nix {"action":"result"' -e 'retrying in' |
    sed -e "s/$nf_said_escape\\[[0-9;]*m//g" -e 's/\\u001[bB]\[[0-9;]*m//g'
}

# A failure is worth another try if a known text says so, and no text says that somebody must act first.
nf_is_transient() {
  nf_is_transient_words=$(nf_said)
  printf '%s\n' "$nf_is_transient_words" | grep -Eq "$NF_TRANSIENT" || return
  ! printf '%s\n' "$nf_is_transient_words" | grep -Eq "$NF_PERMANENT"
}

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
# the log (stdout in NF_OUT if set). A cancellation ends it.
# sets: NF_EXEC, NF_NIX_CONFIG
nf_quietly() {
  nf_open_pipe "$NF_LOG"
  nf_quietly_log_reader=$nf_open_pipe_reader nf_quietly_out_reader=''
  exec 6>&8
  if [ -n "$NF_OUT" ]; then nf_open_pipe "$NF_OUT"; nf_quietly_out_reader=$nf_open_pipe_reader; fi
  (
    exec 8>&- 6>&-
    cd "$NF_ROOT$NF_CHECKOUT" || exit 1
    NF_EXEC='exec'
    case $NF_WHO in
      owner)
        case $NF_STEP in preflight | update) NF_NIX_CONFIG=$NF_NIX_FETCHES ;; esac
        nf_as_owner "$NF_LIMIT" "$@"
        ;;
      *) nf_bounded "$NF_LIMIT" "$@" ;;
    esac
  ) >&8 2>&6 </dev/null &
  nf_quietly_pid=$!
  exec 8>&- 6>&-
  echo "$nf_quietly_pid" >"$NF_RUN/pid"
  if nf_cancelled; then nf_cancel; fi # a cancellation a moment ago found no process to end
  nf_await "$nf_quietly_pid"
  nf_quietly_code=$?
  rm -f "$NF_RUN/pid"
  nf_await_reader "$nf_quietly_log_reader"
  nf_await_reader "$nf_quietly_out_reader"
  return "$nf_quietly_code"
}
