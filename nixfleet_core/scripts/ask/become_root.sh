# shellcheck shell=sh
# Become root, and leave stdin to a root shell; or say why not. Stderr gets, each with the mark: the way taken
# (LOGIN, SUDO, DOAS or RUN0) and the process's number, sudo's prompt and, from root's shell, READY. This runs
# first of all, with whatever settings the account's start-up made.
# NF_MARK and NF_MORE are the halves of the mark: a mere echo of this text never shows the whole mark.
# `unset` is a special built-in: a function from the environment (bash) cannot hide it.
unset -f command id ls printf 2>/dev/null
unset IFS

# become_root_owns PATTERN PATH: is that root's, and does ls show its mode that way?
become_root_owns() {
  # shellcheck disable=SC2012,SC2046 # stat differs everywhere; the mode and the owner's id are words
  set -- "$1" $(ls -lLnd "$2" 2>/dev/null)
  # shellcheck disable=SC2254 # it is a pattern
  case "${2-} ${4-}" in $1" $NF_ROOT_UID") return 0 ;; esac
  return 1
}

# become_root_find NAME: find a setuid program of root's.
# sets: become_root_program
become_root_find() {
  for become_root_find_folder in $NF_FOLDERS; do
    become_root_program=$become_root_find_folder/$1
    if become_root_owns '-??s?-??-*' "$become_root_program"; then return 0; fi
  done
  return 1
}

# run0 is not setuid: anybody could have one. So the folder has to be root's, too.
# sets: become_root_program
become_root_find_run0() {
  for become_root_find_run0_folder in $NF_RUN0_FOLDERS; do
    become_root_program=$become_root_find_run0_folder/run0
    if become_root_owns 'd????-??-*' "$become_root_find_run0_folder/." &&
      become_root_owns '-??x?-??-*' "$become_root_program"; then return 0; fi
  done
  return 1
}

# The way to take, and its program. What calls itself sudo is asked whether it takes our options; `--help`
# keeps it from doing anything. doas does not take them.
# sets: become_root_way become_root_program
become_root_choose() {
  if become_root_find sudo; then
    become_root_way=SUDO
    case $(command "$become_root_program" -k -S --help 2>&1 </dev/null) in
      *'usage: doas '*) become_root_way=DOAS ;;
    esac
  elif become_root_find doas; then become_root_way=DOAS
  elif become_root_find_run0; then become_root_way=RUN0
  else return 1; fi
}

# become_root_announce WAY: say which way is taken, and by which process
become_root_announce() {
  printf '%s%s%s %s\n' "$1" "$NF_MARK" "$NF_MORE" "$$" >&2
}

# become_root_by WAY ARGV...: announce the way, and take it
become_root_by() {
  become_root_announce "$1"
  shift
  exec "$@"
}

become_root() {
  become_root_path=$PATH
  PATH=$NF_SAFE_PATH LC_ALL=C
  export PATH LC_ALL
  # shellcheck disable=SC2016 # root's shell expands it
  become_root_shell='printf "READY%s%s\n" "$1" "$2" >&2
    unset SUDO_PROMPT; NF_FROM=$3; export NF_FROM; exec /bin/sh -s'
  set -- /bin/sh -c "$become_root_shell" sh "$NF_MARK" "$NF_MORE" "${SSH_CONNECTION-}"
  case $(id -u </dev/null) in
    0)
      PATH=/run/wrappers/bin:$become_root_path:/usr/bin:/bin
      become_root_by LOGIN "$@"
      ;;
  esac
  become_root_choose || become_root_refuse "$become_root_path"
  case $become_root_way in
    SUDO)
      # `-p` would replace what PAM's modules ask as well, and we could not tell a code from the password
      SUDO_PROMPT=$NF_MARK$NF_MORE
      export SUDO_PROMPT
      # -k: a cached credential must not make the password the script's first line
      become_root_by SUDO "$become_root_program" -k -S -- "$@"
      ;;
    DOAS) become_root_by DOAS "$become_root_program" -n "$@" ;;
    RUN0)
      become_root_announce RUN0
      become_root_tell_unused "$become_root_path" || :
      exec "$become_root_program" --no-ask-password "$@"
      ;;
  esac
}

# become_root_tell_unused PATH: say what PATH has instead of a sudo or doas that we trust, if anything
become_root_tell_unused() {
  become_root_tell_unused_found=$(PATH=$1; command -v sudo || command -v doas) || return 1
  printf '%s is not used: sudo and doas must be setuid programs of root in one of %s.\n' \
    "$become_root_tell_unused_found" "$NF_FOLDERS" >&2
}

# become_root_refuse PATH: say what PATH has instead
become_root_refuse() {
  if become_root_tell_unused "$1"; then exit 1; fi
  if become_root_refuse_found=$(PATH=$1; command -v run0); then
    printf '%s is not used: run0 and its folder must be root'\''s, in one of %s\n' \
      "$become_root_refuse_found" "$NF_RUN0_FOLDERS" >&2
  else
    printf 'no sudo, no doas and no run0 on this host\n' >&2
  fi
  exit 1
}
