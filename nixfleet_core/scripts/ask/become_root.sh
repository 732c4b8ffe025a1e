# shellcheck shell=sh
# Become root, and leave stdin to a root shell; or say why not. Stderr gets, each with the mark: the way taken
# (LOGIN, SUDO or DOAS), sudo's prompt and, from root's shell, READY. This runs first of all, with whatever
# settings the account's start-up made.
# NF_MARK and NF_MORE are the halves of the mark: a mere echo of this text never shows the whole mark.
# `unset` is a special built-in: a function from the environment (bash) cannot hide it.
unset -f command id ls printf 2>/dev/null
unset IFS

# become_root_find NAME: find a setuid program of root's.
# sets: become_root_program
become_root_find() {
  for become_root_find_folder in $NF_FOLDERS; do
    become_root_program=$become_root_find_folder/$1
    # shellcheck disable=SC2012,SC2046 # stat differs everywhere; the mode and the owner's id are words
    set -- "$1" $(ls -lLnd "$become_root_program" 2>/dev/null)
    case "${2-} ${4-}" in -??s?-??-*" $NF_ROOT_UID") return 0 ;; esac
  done
  return 1
}

# become_root_by WAY ARGV...: announce the way, and take it
become_root_by() {
  printf '%s%s%s\n' "$1" "$NF_MARK" "$NF_MORE" >&2
  shift
  exec "$@"
}

become_root() {
  become_root_path=$PATH
  PATH=$NF_SAFE_PATH LC_ALL=C
  export PATH LC_ALL
  # shellcheck disable=SC2016 # root's shell expands it
  become_root_shell='printf "READY%s%s\n" "$1" "$2" >&2; NF_FROM=$3; export NF_FROM; exec /bin/sh -s'
  set -- /bin/sh -c "$become_root_shell" sh "$NF_MARK" "$NF_MORE" "${SSH_CONNECTION-}"
  case $(id -u </dev/null) in
    0)
      PATH=/run/wrappers/bin:$become_root_path:/usr/bin:/bin
      become_root_by LOGIN "$@"
      ;;
  esac
  # -k: a cached credential must not make the password the script's first line
  become_root_find sudo && become_root_by SUDO "$become_root_program" -k -S -p "$NF_MARK$NF_MORE" -- "$@"
  become_root_find doas && become_root_by DOAS "$become_root_program" -n "$@"
  PATH=$become_root_path
  if become_root_program=$(command -v sudo || command -v doas); then
    printf '%s is not used: sudo and doas must be setuid programs of root in one of %s\n' \
      "$become_root_program" "$NF_FOLDERS" >&2
  else
    printf 'no sudo and no doas on this host\n' >&2
  fi
  exit 1
}
