# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# A process of ours writes down a command's output, so the command's user needs no right to write there.

# nf_logged COMMAND...: run it, with its stderr in the log.
nf_logged() {
  nf_open_pipe "$NF_LOG"
  nf_logged_reader=$nf_open_pipe_reader
  "$@" 2>&8 8>&-
  nf_logged_code=$?
  exec 8>&-
  nf_await_reader "$nf_logged_reader"
  return "$nf_logged_code"
}

# nf_into FILE COMMAND...: run it; its stdout becomes the content of FILE.
nf_into() {
  nf_into_file=$1
  shift
  : >"$nf_into_file" || return
  nf_open_pipe "$nf_into_file"
  nf_into_reader=$nf_open_pipe_reader
  "$@" >&8 8>&-
  nf_into_code=$?
  exec 8>&-
  nf_await_reader "$nf_into_reader"
  return "$nf_into_code"
}

# nf_open_pipe FILE: a process of ours appends to FILE all that is written to descriptor 8.
# Processes of the owner get no descriptor of root's files: they could truncate them.
# Nobody waits for a fifo that was first opened both ways; once its name is gone, it is a pipe.
# sets: nf_open_pipe_reader (its id)
nf_open_pipe() {
  nf_keep_place
  nf_open_pipe_path=$NF_RUN/pipe nf_open_pipe_reader=''
  while ! mkfifo -m 600 "$nf_open_pipe_path" 2>/dev/null; do
    nf_open_pipe_path=${nf_open_pipe_path}p
    case $nf_open_pipe_path in *pppppppp) nf_open_no_pipe "$1"; return ;; esac
  done
  exec 7<>"$nf_open_pipe_path"
  exec 8>"$nf_open_pipe_path"
  exec 9<"$nf_open_pipe_path"
  exec 7>&-
  rm -f "$nf_open_pipe_path"
  # a program of its own: a shell keeps copies of redirected descriptors, also of the pipe's other end
  set -- /bin/sh -c "$NF_POUR" sh "$1"
  case $NF_CARRIER in
    launchd)
      if nf_has perl; then set -- perl -e "$NF_APART" "$@"; else set -- bash -c "$NF_APART_BASH" bash "$@"; fi
      ;;
  esac
  "$@" <&9 >/dev/null 2>&1 6>&- 8>&- 9<&- &
  nf_open_pipe_reader=$!
  exec 9<&-
}

# Run a command in a process group of its own: launchd kills that of a killed job. An activation that lives
# on would end at its next word if nobody read it.
# shellcheck disable=SC2016 # Perl's and the inner shell's own
NF_APART='setpgrp(0, 0); exec { $ARGV[0] } @ARGV' NF_APART_BASH='set -m; "$@" & wait'

# If no fifo can be made, the output of other users' commands is lost.
nf_open_no_pipe() {
  if [ -w "$1" ] && [ "$NF_UID" = "${NF_OWNER_UID:-$NF_UID}" ]; then exec 8>>"$1"; else exec 8>/dev/null; fi
}

# sh FILE: append all input. A full disk loses the part that has no room, but does not end the writer.
# shellcheck disable=SC2016 # the inner shell expands
NF_POUR='until cat >>"$1"; do [ -w "$1" ] || { cat >/dev/null; exit; }; done'

# nf_await_reader PID: wait until the whole output is in the file. A process that the command left behind may
# hold the pipe open; we do not wait for it.
nf_await_reader() {
  if [ -z "$1" ]; then return; fi
  nf_await_reader_tries=0
  while (:) && kill -0 "$1" 2>/dev/null; do # the subshell's end makes some shells look for ended processes
    nf_await_reader_tries=$((nf_await_reader_tries + 1))
    if [ "$nf_await_reader_tries" -le 5 ]; then continue; fi
    if [ "$nf_await_reader_tries" -gt "$NF_READER_TRIES" ]; then
      nf_say "something that was started here still holds its output: the job goes on without it"
      return
    fi
    sleep 0.1 2>/dev/null || { sleep 1; nf_await_reader_tries=$((nf_await_reader_tries + 9)); }
  done
}
NF_READER_TRIES=55 # 5 s

# nf_await PID: wait for it, and return its code. A trapped signal ends `wait` early, so wait again.
nf_await() {
  while :; do
    wait "$1"
    nf_await_ended=$?
    if [ "$nf_await_ended" -le 128 ] || ! kill -0 "$1" 2>/dev/null; then return "$nf_await_ended"; fi
  done
}
