# shellcheck shell=sh
# The working tree before and after a pull. The checkout's owner runs this script as it stands, at the top of
# the repository: `sh -c TEXT sh TEXT VERB FOLDER [FROM TO]`. FOLDER is the pull's own; pull.sh says what lies
# there. The text calls itself through xargs, because sh cannot read the NULs that end git's paths.
#   prepare   make the folder anew, with the paths that differ between the two commits
#   changed   print the paths that have uncommitted changes
#   covered   print the untracked and ignored files that upstream's new files would overwrite
#   closed    print the folders in which the owner cannot write the paths
#   keep_index, save   keep the index, and what lies at the paths
#   undo      put all of it back; prints the paths that somebody else has changed since: they stay as they are
#   unlock    remove the locks that a killed git has left
# A path that leads through a link is no path of git's.
set -u

tree_text=$1 tree_verb=$2 tree_folder=$3
shift 3

# tree_each FUNCTION: call it for each path.
tree_each() { xargs -0 sh -c "$tree_text" sh "$tree_text" each "$tree_folder" "$1" <"$tree_folder/paths"; }

# tree_dirs FUNCTION PATH: call it with each folder of the path, the deepest first.
tree_dirs() {
  tree_dirs_left=$2
  while case $tree_dirs_left in */*) ;; *) false ;; esac do
    tree_dirs_left=${tree_dirs_left%/*}
    "$1" "$tree_dirs_left" || return
  done
}

tree_is_dir() { [ -d "./$1" ] && ! [ -L "./$1" ]; }

# tree_is_file DIR PATH: true for a file or a link there. Through a link, there is nothing.
tree_is_file() {
  (cd "$1" 2>/dev/null && tree_dirs tree_is_dir "$2" &&
    { [ -L "./$2" ] || { [ -e "./$2" ] && ! [ -d "./$2" ]; }; })
}

# tree_is_same PATH DIR: whether the working tree has there what DIR has.
tree_is_same() {
  if ! tree_is_file "$2" "$1"; then ! tree_is_file . "$1"; return; fi
  tree_is_file . "$1" || return
  if [ -L "./$1" ] || [ -L "$2/$1" ]; then
    [ -L "./$1" ] && [ -L "$2/$1" ] && [ "$(readlink "./$1")" = "$(readlink "$2/$1")" ]
  else
    cmp -s "./$1" "$2/$1" && [ "$(tree_mode "./$1")" = "$(tree_mode "$2/$1")" ]
  fi
}

# git knows one right: whether a file can be run
tree_mode() { if [ -x "$1" ]; then echo 755; else echo 644; fi; }

# tree_is_pulled PATH: whether the pull has put there what it wanted, or the beginning of it.
tree_is_pulled() {
  if tree_is_same "$1" "$tree_folder/new"; then return 0; fi
  if [ -L "./$1" ] || ! tree_is_file "$tree_folder/new" "$1"; then return 1; fi
  head -c "$(($(wc -c <"./$1")))" "$tree_folder/new/$1" | cmp -s - "./$1"
}

tree_prepare() {
  umask 077
  rm -rf "$tree_folder" && mkdir -p "$tree_folder/old" "$tree_folder/new" || return
  printf '%s\n' "$1" >"$tree_folder/from" && printf '%s\n' "$2" >"$tree_folder/to" &&
    git diff-tree -r -z --name-only --no-renames "$1" "$2" >"$tree_folder/paths" &&
    tree_copy_index "$tree_folder/new-index" || return
  # as git does before it merges: a file that was only touched has not changed
  GIT_INDEX_FILE=$tree_folder/new-index git -c core.hooksPath=/dev/null -c core.fsmonitor=false \
    update-index -q --refresh >/dev/null || :
}

# tree_copy_index FILE: a repository may have none. The copy keeps its time, by which git knows the files that
# were written in the same second as the index, and may have changed since.
tree_copy_index() {
  tree_copy_index_from=$(git rev-parse --git-path index) || return
  if [ -e "$tree_copy_index_from" ]; then cp -p "$tree_copy_index_from" "$1"; else rm -f "$1"; fi
}

# --- questions

tree_changed() { xargs -0 git --literal-pathspecs diff --name-only HEAD -- <"$tree_folder/paths"; }

# A file in the place of a folder is covered, and so is all that lies in a folder in the place of a file.
tree_covered() {
  git diff-tree -r -z --name-only --no-renames --diff-filter=A "$1" "$2" >"$tree_folder/added" || return
  xargs -0 sh -c "$tree_text" sh "$tree_text" each "$tree_folder" tree_put_place <"$tree_folder/added" \
    >"$tree_folder/places" || return
  # without a path, git would list all
  if ! [ -s "$tree_folder/places" ]; then return 0; fi
  xargs -0 git --literal-pathspecs ls-files --others -- <"$tree_folder/places"
}

tree_put_place() {
  if [ -e "./$1" ] || [ -L "./$1" ]; then printf '%s\0' "$1"; fi
  tree_dirs tree_put_file "$1"
}

tree_put_file() { if ! tree_is_dir "$1" && { [ -e "./$1" ] || [ -L "./$1" ]; }; then printf '%s\0' "$1"; fi; }

tree_closed() { tree_each tree_put_closed; }

# The deepest folder that is there: git writes to it, or makes more in it.
tree_put_closed() {
  tree_put_closed_dir=./$1
  while
    tree_put_closed_dir=${tree_put_closed_dir%/*}
    ! [ -d "$tree_put_closed_dir" ]
  do :; done
  if [ -w "$tree_put_closed_dir" ] && [ -x "$tree_put_closed_dir" ]; then return 0; fi
  printf '%s\n' "${tree_put_closed_dir#./}"
}

# --- before and after

tree_keep_index() { tree_copy_index "$tree_folder/index"; }

tree_save() {
  umask 077
  tree_each tree_keep && : >"$tree_folder/begun"
}

tree_keep() {
  tree_dirs tree_keep_dir "$1"
  if tree_is_file . "$1"; then cp -pP "./$1" "$tree_folder/old/$1"; fi
}

tree_keep_dir() { if tree_is_dir "$1"; then mkdir -p "$tree_folder/old/$1"; fi; }

tree_unlock() {
  for tree_unlock_of in index HEAD "$(git symbolic-ref -q HEAD)"; do
    tree_unlock_file=$(git rev-parse --git-path "$tree_unlock_of").lock
    # an older one is not the pull's
    if [ -e "$tree_unlock_file" ] && [ -z "$(find "$tree_folder/begun" -newer "$tree_unlock_file")" ]; then
      rm -f "$tree_unlock_file"
    fi
  done
}

tree_undo() {
  tree_undo_head=$(git rev-parse --verify HEAD) || return
  case $tree_undo_head in
    "$(cat "$tree_folder/to")") return 0 ;; # the pull was over
    "$(cat "$tree_folder/from")") ;;
    *) return 1 ;; # somebody has moved it since
  esac
  tree_each tree_take_away && tree_each tree_put_back || return
  tree_undo_index=$(git rev-parse --git-path index) || return
  if ! [ -e "$tree_folder/index" ]; then rm -f "$tree_undo_index"; return; fi
  cmp -s "$tree_folder/index" "$tree_undo_index" && return
  rm -f "$tree_undo_index.nixfleet"
  tree_place "$tree_folder/index" "$tree_undo_index.nixfleet" &&
    mv -f "$tree_undo_index.nixfleet" "$tree_undo_index"
}

# tree_place FROM TO: a second name for the same file, which finds room on a full disk, too; else a copy.
tree_place() { { ! [ -L "$1" ] && ln "$1" "$2" 2>/dev/null; } || cp -pP "$1" "$2"; }

tree_take_away() {
  if ! tree_is_same "$1" "$tree_folder/old" && tree_is_file . "$1"; then
    if ! tree_is_pulled "$1"; then printf '%s\n' "$1"; return; fi
    rm -f "./$1"
  fi
  tree_dirs tree_take_dir "$1" || :
}

# A folder that was not there goes if it is empty.
tree_take_dir() {
  if [ -d "$tree_folder/old/$1" ]; then return 1; fi
  if tree_is_dir "$1"; then rmdir "./$1" 2>/dev/null; fi
}

tree_put_back() {
  if ! tree_is_file "$tree_folder/old" "$1" || tree_is_file . "$1"; then return 0; fi
  if tree_is_dir "$1"; then rmdir "./$1" 2>/dev/null || return 0; fi
  case $1 in */*) mkdir -p "./${1%/*}" || return ;; esac
  tree_place "$tree_folder/old/$1" "./$1"
}

case $tree_verb in
  each)
    tree_function=$1
    shift
    for tree_path; do "$tree_function" "$tree_path" || exit; done
    ;;
  *) "tree_$tree_verb" "$@" ;;
esac
