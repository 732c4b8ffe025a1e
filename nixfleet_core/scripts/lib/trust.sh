# shellcheck shell=sh
# Who can change it? What root executes, and where root writes, nobody else may be able to change.

# Functions that the environment brings along (bash) do not say who we are and what is whose.
unset -f command unit_id ls printf readlink 2>/dev/null || :

# nf_is_trusted PATH: only root can change what PATH leads to. Each component, also behind links, is root's,
# and nobody else can write to it. Others may add to a sticky folder on the way (the Nix store), since they
# cannot replace there what is root's; the last component is not one. In the sandbox all belongs to us, and
# the file system begins at NF_ROOT.
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

# nf_trust_enter PATH: one step further; a link's owner could lead elsewhere tomorrow.
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

# nf_trust_folder PATH: no link. What was found good is not looked at again by this process.
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

# nf_trust_ahead PATH...: look at the folders on these paths by one ls, where each would be a process of its
# own. What it does not find good, or cannot read as one word, is looked at when its turn comes.
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

# nf_trust_read LINE: the same, of what ls says
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

# Others may write. A user's sandbox is as open as the user's umask makes it to the user's group.
nf_trust_is_open() {
  case $nf_trust_mode in
    ????????w*) return 0 ;;
    ?????w*) [ -z "$NF_ROOT" ] || [ "$NF_UID" = 0 ] ;;
    *) return 1 ;;
  esac
}

# nf_trust_words: what the last look found wrong, for a reader.
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
