# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # its variables come from the prelude and the other parts
# The agent's own log: what is there, and then what comes.
# From the prelude: NF_LINES (so many last lines, "" for all), NF_SINCE (for journalctl, or ""), NF_FOLLOW (1
# to go on), NF_FIELDS, NF_CURSOR (the newest entry that the client has), NF_AT_ERR NF_AT_OUT NF_AT_LOG
# ("INODE OFFSET": how much it has of launchd's files; "" for nothing), NF_UNIT_UID (whose unit it is, if root
# reads in a user's place).
# The first line is "nixfleet-journal 1 WHAT NOW UID". WHAT is the manager of the agent, and then journalctl's
# own output follows, or the frames of launchd's files; or it is "denied-" and the manager, or "none". A
# newline on stderr is a sign of life: stdout holds nothing that is not the log's.

journal() {
  # a writer without a reader ends, so this ends with its client's connection
  trap 'exit 0' PIPE
  if [ -n "$NF_UNIT_UID" ]; then NF_MANAGER=user; fi
  case $NF_MANAGER in
    launchd)
      if [ -z "$(nf_launchd_files)" ]; then journal_greet none; exit 0; fi
      journal_greet launchd
      journal_with_heart journal_files
      ;;
    *)
      if ! nf_has journalctl; then journal_greet none; exit 0; fi
      if ! journal_may_read; then journal_greet "denied-$NF_MANAGER"; exit 0; fi
      journal_greet "$NF_MANAGER"
      journal_with_heart journal_entries
      ;;
  esac
}

journal_greet() { printf 'nixfleet-journal 1 %s %s %s\n' "$1" "$(nf_now)" "$NF_UID"; }

# journal_with_heart COMMAND: run it with signs of life beside it. When nobody hears them any more, it ends.
journal_with_heart() {
  "$@" &
  journal_with_heart_pid=$!
  journal_heart "$journal_with_heart_pid" &
  journal_with_heart_heart=$!
  wait "$journal_with_heart_pid"
  journal_with_heart_code=$?
  kill "$journal_with_heart_heart" 2>/dev/null
  exit "$journal_with_heart_code"
}

# journal_heart PID
journal_heart() {
  trap '' PIPE
  # who waits for the end of our output does not wait for the sleep
  while sleep 5 >/dev/null 2>&1 && echo >&2; do :; done
  kill "$1" 2>/dev/null
}

# journal_may_read: true if we may read all of it. journalctl itself is asked: it ends with 1 if it may open
# none of the system's files. Without this question it shows what it may open, and says nothing. A user's own
# journal is enough for the user's unit, if there is one: it lies among the system's files if these are only
# in memory.
journal_may_read() {
  if [ "$NF_UID" = 0 ]; then return 0; fi
  nf_bounded 10 journalctl --system --quiet --lines=0 --output=cat >/dev/null 2>&1 && return
  case $NF_MANAGER in
    user) [ -n "$(nf_bounded 10 journalctl --user --quiet --lines=1 --output=cat 2>/dev/null)" ] ;;
    *) return 1 ;;
  esac
}

# The entries of the unit, and those of its manager about it.
journal_entries() {
  case $NF_MANAGER in
    user)
      journal_entries_uid=${NF_UNIT_UID:-$NF_UID}
      set -- "_SYSTEMD_USER_UNIT=$NF_UNIT" "_UID=$journal_entries_uid" + \
        "USER_UNIT=$NF_UNIT" "_UID=$journal_entries_uid"
      ;;
    *) set -- --unit="$NF_UNIT" ;;
  esac
  # with the newest entry that the client has: only when it comes again, nothing is missing
  if [ -n "$NF_CURSOR" ]; then set -- --cursor="$NF_CURSOR" "$@"
  else
    if [ -n "$NF_SINCE" ]; then set -- --since="$NF_SINCE" "$@"; fi
    if [ -n "$NF_LINES" ]; then set -- --lines="$NF_LINES" "$@"; fi
  fi
  if [ -n "$NF_FOLLOW" ]; then
    set -- --follow "$@"
    case ${NF_CURSOR:+all}$NF_LINES in all* | '') set -- --no-tail "$@" ;; esac
  fi
  exec journalctl --quiet --no-pager --output=export --output-fields="$NF_FIELDS" "$@"
}

# The files of launchd, as frames: of stderr (err), of stdout (out), or of both (log). A note has the file's
# inode; its offset says where its bytes go on.
journal_files() {
  journal_at_err=$NF_AT_ERR journal_at_out=$NF_AT_OUT journal_at_log=$NF_AT_LOG
  if sleep 0.1 2>/dev/null; then journal_files_pause=0.5 journal_files_turns=20
  else journal_files_pause=1 journal_files_turns=10; fi
  journal_files_turn=$journal_files_turns
  while :; do
    if [ "$journal_files_turn" = "$journal_files_turns" ]; then journal_paths; journal_files_turn=0; fi
    journal_files_turn=$((journal_files_turn + 1)) journal_sent=''
    journal_file err "$journal_at_err" "$journal_err"
    journal_at_err=$journal_at
    journal_file out "$journal_at_out" "$journal_out"
    journal_at_out=$journal_at
    journal_file log "$journal_at_log" "$journal_log"
    journal_at_log=$journal_at
    if [ -n "$journal_sent" ]; then continue; fi
    if [ -z "$NF_FOLLOW" ]; then exit 0; fi
    sleep "$journal_files_pause"
  done
}

# sets: journal_err, journal_out, journal_log: the paths of the files, "" for none
journal_paths() {
  journal_paths_all=$(nf_launchd_files)
  journal_err=$(printf '%s\n' "$journal_paths_all" | sed -n 's/^stderr //p')
  journal_out=$(printf '%s\n' "$journal_paths_all" | sed -n 's/^stdout //p')
  journal_log=''
  if [ "$journal_err" = "$journal_out" ]; then journal_log=$journal_out journal_err='' journal_out=''; fi
}

# journal_file KIND AT PATH: send what the file at PATH has beyond AT ("INODE OFFSET", or "").
# sets: journal_at, journal_sent (1 if there was something)
journal_file() {
  journal_at=$2
  if [ -z "$3" ]; then return; fi
  journal_stat "$3"
  case $journal_state in
    file) ;;
    *) # that is said once
      if [ "$2" != "$journal_state 0" ]; then journal_note "$1" "$journal_state 0" 0 "$journal_said"; fi
      journal_at="$journal_state 0"
      return
      ;;
  esac
  case $journal_at in
    "$journal_inode "*)
      if [ "$journal_size" -lt "${journal_at#* }" ]; then
        journal_note "$1" "shorter $journal_inode" 0 "$3"
        journal_at="$journal_inode 0"
      fi
      ;;
    '')
      journal_at="$journal_inode $(journal_start "$3" "$journal_size")"
      journal_note "$1" "first $journal_inode" "${journal_at#* }" "$3"
      ;;
    *[!0-9\ ]*) # it was not there, or was not ours
      journal_at="$journal_inode 0"
      journal_note "$1" "first $journal_inode" 0 "$3"
      ;;
    *)
      journal_at="$journal_inode 0"
      journal_note "$1" "again $journal_inode" 0 "$3"
      ;;
  esac
  if send "$1" "$3" "${journal_at#* }" "$journal_size"; then
    journal_at="$journal_inode $send_at" journal_sent=1
  fi
}

# journal_note KIND WORDS OFFSET SAID
journal_note() { printf '@%s.note %s %s\n%s\n' "$1" "$3" "$((${#2} + ${#4} + 1))" "$2 $4"; }

# journal_stat PATH: in /tmp anybody can put another file in its place: only our own regular file is read.
# sets: journal_state (file, gone or refused), journal_inode, journal_size, journal_said
journal_stat() {
  journal_said=$1 journal_inode=0 journal_size=0
  set -f
  # shellcheck disable=SC2046 # inode, mode, links, user, group, size
  set -- "$1" $(ls -dlin "$1" 2>/dev/null)
  set +f
  if [ $# -lt 7 ]; then journal_state=gone; return; fi
  journal_state=refused
  case $3 in
    -*) ;;
    *) journal_said="$1 is not read: it is no regular file"; return ;;
  esac
  if [ "$5" != "$NF_UID" ]; then
    journal_said="$1 is not read: it belongs to $(id -un "$5" 2>/dev/null || echo "uid $5")"
    return
  fi
  journal_state=file journal_inode=$2 journal_size=$7
}

# journal_start FILE SIZE: where its last lines begin. No more of it is read than the client keeps.
journal_start() {
  journal_start_from=$(($2 - NF_KEPT))
  if [ "$journal_start_from" -lt 0 ]; then journal_start_from=0; fi
  if [ -z "$NF_LINES" ]; then echo "$journal_start_from"; return; fi
  echo $(($2 - $(tail -c "+$((journal_start_from + 1))" "$1" | head -c "$(($2 - journal_start_from))" |
    tail -n "$NF_LINES" | wc -c)))
}
NF_KEPT=52428800 # as journal/copy.py has it
