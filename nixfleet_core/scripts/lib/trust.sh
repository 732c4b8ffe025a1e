# shellcheck shell=sh
# Who can change a file? Only root may be able to change what root executes and where root writes.

# Functions from the environment (bash) must not tell us who we are or who owns a file.
unset -f command unit_id ls printf readlink 2>/dev/null || :

# nf_is_trusted PATH: true if only root can change what PATH leads to. Root owns each component, also behind
# links, and nobody else can write to it. Others may add to a sticky folder on the way (the Nix store), since
# they cannot replace root's files there; but the last component must not be such a folder. In the sandbox all
# files belong to us, and the file system begins at NF_ROOT.
# sets: nf_trust_bad (the component that is not so), nf_trust_why (missing, hidden, owner, writable),
#   nf_trust_at, nf_trust_rest, nf_trust_links, nf_trust_sticky, NF_TRUSTED
nf_is_trusted() {
  nf_trust_bad='' nf_trust_why='' nf_trust_links=0
  nf_trust_from "$1"
  nf_trust_folder "${nf_trust_at:-/}" || return 1
  while [ -n "$nf_trust_rest" ]; do
    nf_is_trusted_part=${nf_trust_rest%%/*}
    case $nf_trust_rest in */*) nf_trust_rest=${nf_trust_rest#*/} ;; *) nf_trust_rest='' ;; esac
    case $nf_is_trusted_part in
      '' | .) ;;
      ..) nf_trust_at=${nf_trust_at%/*} ;;
      *) nf_trust_enter "$nf_trust_at/$nf_is_trusted_part" || return 1 ;;
    esac
  done
  if [ -n "$nf_trust_sticky" ]; then nf_trust_say writable "${nf_trust_at:-/}"; return 1; fi
}

# sets: nf_trust_at (where a walk to that path begins) and nf_trust_rest (what it has still to go)
nf_trust_from() {
  case $1 in "$NF_ROOT"/*) nf_trust_at=$NF_ROOT ;; *) nf_trust_at='' ;; esac
  nf_trust_rest=${1#"$nf_trust_at"} nf_trust_rest=${nf_trust_rest#/}
}

# sets: nf_trust_bad, nf_trust_why
nf_trust_say() { nf_trust_why=$1 nf_trust_bad=$2; }

# nf_trust_enter PATH: go one step further; a link's owner could change the link's target later.
# sets: nf_trust_at, nf_trust_links, nf_trust_rest, nf_trust_sticky
nf_trust_enter() {
  if ! [ -L "$1" ]; then nf_trust_at=$1; nf_trust_folder "$1"; return; fi
  nf_trust_links=$((nf_trust_links + 1))
  if ! nf_trust_look "$1" || ! nf_trust_owner || [ "$nf_trust_links" -gt 40 ]; then
    nf_trust_say owner "$1"
    return 1
  fi
  nf_trust_enter_then=$nf_trust_rest
  nf_trust_enter_target=$(readlink "$1")
  case $nf_trust_enter_target in
    /*) nf_trust_from "$nf_trust_enter_target" && nf_trust_folder "${nf_trust_at:-/}" || return 1 ;;
    *) nf_trust_rest=$nf_trust_enter_target ;;
  esac
  nf_trust_rest=$nf_trust_rest/$nf_trust_enter_then
}

# nf_trust_folder PATH: check a path that is no link. A good one is checked only once in this process.
# sets: NF_TRUSTED, nf_trust_sticky
nf_trust_folder() {
  nf_trust_sticky=''
  case $NF_TRUSTED in *":$1:"*) return 0 ;; esac
  if ! nf_trust_look "$1"; then
    if [ -x "${1%/*}/" ]; then nf_trust_say missing "$1"; else nf_trust_say hidden "$1"; fi
    return 1
  fi
  nf_trust_owner || { nf_trust_say owner "$1"; return 1; }
  if nf_trust_is_open; then
    case $nf_trust_mode in ?????????[tT]*) nf_trust_sticky=1; return 0 ;; esac
    nf_trust_say writable "$1"
    return 1
  fi
  NF_TRUSTED=$NF_TRUSTED$1:
}
NF_TRUSTED=:

# nf_trust_ahead PATH...: check all folders on these paths with one ls, instead of one process for each.
# Folders that are not good, or whose names are not one plain word, are checked again when their turn comes.
# sets: NF_TRUSTED, nf_trust_mode, nf_trust_uid
nf_trust_ahead() {
  nf_trust_ahead_seen=:
  for nf_trust_ahead_path in "$@"; do
    shift
    while :; do
      case $nf_trust_ahead_path in *[!-+,./0-9=@A-Z_a-z~]*) break ;; esac
      case $nf_trust_ahead_seen in *":$nf_trust_ahead_path:"*) break ;; esac
      nf_trust_ahead_seen=$nf_trust_ahead_seen$nf_trust_ahead_path:
      set -- "$@" "${nf_trust_ahead_path:-/}"
      case $nf_trust_ahead_path in '' | "$NF_ROOT") break ;; esac
      nf_trust_ahead_path=${nf_trust_ahead_path%/*}
    done
  done
  [ "$#" -gt 0 ] || return 0
  while IFS=' ' read -r nf_trust_mode nf_trust_ahead_path nf_trust_uid nf_trust_ahead_path \
    nf_trust_ahead_path nf_trust_ahead_path nf_trust_ahead_path nf_trust_ahead_path nf_trust_ahead_at; do
    case $nf_trust_mode in d*) ;; *) continue ;; esac
    if nf_trust_owner && ! nf_trust_is_open; then NF_TRUSTED=$NF_TRUSTED$nf_trust_ahead_at:; fi
  done <<EOT
$(ls -ldn "$@" 2>/dev/null)
EOT
}

# sets: nf_trust_mode and nf_trust_uid, of the path itself
nf_trust_look() {
  nf_trust_look_line=$(ls -ldn "$1" 2>/dev/null) && [ -n "$nf_trust_look_line" ] || return 1
  nf_trust_read "$nf_trust_look_line"
}

# nf_trust_read LINE: the same, from a line of ls
# sets: nf_trust_mode, nf_trust_uid
nf_trust_read() {
  nf_trust_mode=${1%% *}
  nf_trust_uid=${1#* } nf_trust_uid=${nf_trust_uid#"${nf_trust_uid%%[! ]*}"} # the number of links
  nf_trust_uid=${nf_trust_uid#* } nf_trust_uid=${nf_trust_uid#"${nf_trust_uid%%[! ]*}"}
  nf_trust_uid=${nf_trust_uid%% *}
}

nf_trust_owner() {
  case $nf_trust_uid in 0) return 0 ;; esac
  [ -n "$NF_ROOT" ] && [ "$nf_trust_uid" = "$NF_UID" ]
}

# True if others may write. In a user's sandbox the user's group does not count: the umask decides for it.
nf_trust_is_open() {
  case $nf_trust_mode in
    ????????w*) return 0 ;;
    ?????w*) [ -z "$NF_ROOT" ] || [ "$NF_UID" = 0 ] ;;
    *) return 1 ;;
  esac
}

# nf_trust_words: say for people what the last check found wrong.
nf_trust_words() {
  case $nf_trust_why in
    owner)
      nf_trust_words_name=$(id -un "$nf_trust_uid" 2>/dev/null) || nf_trust_words_name="uid $nf_trust_uid"
      echo "$nf_trust_bad belongs to $nf_trust_words_name"
      ;;
    writable) echo "others can write to $nf_trust_bad ($nf_trust_mode)" ;;
    *) echo "$nf_trust_bad cannot be looked at" ;;
  esac
}
