# shellcheck shell=sh
# shellcheck disable=SC2034 # its variables go to the probe
# The name of the checkout's state: HEAD's tree and the content of flake.lock. A state has a name only if what
# Nix builds from is known from these two alone. Nix may read the files of the working tree, so there must be
# no other change, nothing that git does not look at, and nothing that git itself changes in files.

# nf_source STATUS: name the state of the checkout in the current folder, whose owner nf_owner has found.
# STATUS is the answer of `git status --porcelain=v2 --branch`.
# sets: nf_source_name ("TREE-LOCK", two of git's object ids; "" if the state has none), nf_source_folder (the
#   flake's folder in its repository), nf_source_why (why there is no name: changes, lock, hidden, submodule,
#   filter or broken)
nf_source() {
  nf_source_name='' nf_source_folder='' nf_source_why=changes
  nf_source_is_plain "$1" || return 0
  nf_source_why=lock
  if [ -L flake.lock ] || ! [ -f flake.lock ]; then return; fi
  nf_source_said=$(nf_step_down 20 sh -c "$NF_SOURCE" 2>/dev/null)
  {
    IFS= read -r nf_source_head
    IFS= read -r nf_source_tree
    IFS= read -r nf_source_folder
    IFS= read -r nf_source_lock
    IFS= read -r nf_source_why
  } <<EOF
$nf_source_said
EOF
  case $nf_source_why in '' | hidden | submodule | filter) ;; *) nf_source_why=broken; return ;; esac
  case $nf_source_tree,$nf_source_lock in *[!0-9a-f,]* | ,* | *,) nf_source_why=broken; return ;; esac
  # HEAD has moved since STATUS
  case $1 in *"# branch.oid $nf_source_head"*) ;; *) nf_source_why=changes; return ;; esac
  if [ -z "$nf_source_why" ]; then nf_source_name=$nf_source_tree-$nf_source_lock; fi
}

# nf_source_is_plain STATUS: true if no file but flake.lock differs from HEAD, and that only in its content.
nf_source_is_plain() {
  while IFS= read -r nf_source_is_plain_line; do
    case $nf_source_is_plain_line in
      '# '* | '? '*) continue ;;
      '1 .M N... 100644 100644 100644 '* | '1 M. N... 100644 100644 100644 '*) ;;
      '1 MM N... 100644 100644 100644 '*) ;;
      *) return 1 ;;
    esac
    # behind its eight fields stands the path
    if [ "${nf_source_is_plain_line#* * * * * * * * }" != flake.lock ]; then return 1; fi
  done <<EOF
$1
EOF
}

# What the owner runs for it. Prints HEAD, its tree, the flake's folder, the id of flake.lock's content, and
# why the state has no name. `git ls-files -v` marks what git does not look at (assume-unchanged,
# skip-worktree); gitattributes(5) and git-config(1) have what changes files on their way to the working tree,
# or into an archive.
# shellcheck disable=SC2016 # the inner shells expand
NF_SOURCE='
GIT_NO_REPLACE_OBJECTS=1; export GIT_NO_REPLACE_OBJECTS
said=$(git rev-parse HEAD "HEAD^{tree}" --show-prefix --show-toplevel) || exit
printf "%s\n" "${said%
*}"
git hash-object --no-filters flake.lock && cd "${said##*
}" || exit
while IFS= read -r line; do
  case $line in
    ("" | "core.filemode true" | "core.symlinks true" | "core.eol lf" | "core.eol native") ;;
    ("core.autocrlf false" | "core.autocrlf input") ;;
    (*) echo filter; exit ;;
  esac
done <<EOF
$(git config --get-regexp "^(filter\.(unset|unspecified)\.|core\.(filemode|symlinks|autocrlf|eol)$)")
EOF
{
  git -c core.fsmonitor=false ls-files -v --stage | awk "
    \$1 != \"H\" || \$4 != 0 { print \"hidden\" | \"cat 1>&2\" }
    \$2 == 160000 { print \"submodule\" | \"cat 1>&2\" }
    { sub(/^[^\t]*\t/, \"\"); print }" |
    git check-attr --stdin filter ident working-tree-encoding export-subst export-ignore eol
} 2>&1 | awk "
  /: (unspecified|unset)$/ || /: eol: lf$/ { next }
  /^(hidden|submodule)$/ { if (!said) said = \$0; next }
  { filter = \"filter\" }
  END { print said ? said : filter }"
'
