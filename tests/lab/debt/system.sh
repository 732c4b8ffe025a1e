# shellcheck shell=sh disable=SC2154 # Nix sets what is used here
# Builds the system of system.nix: the lab's own one, and units that run something of the store.
units=$out/etc/systemd/system
mkdir -p "$units" "$out/etc/systemd/user"
for part in "$base"/*; do
  case ${part##*/} in etc) ;; *) ln -s "$part" "$out/${part##*/}" ;; esac
done
cp "$base"/etc/systemd/system/* "$units"
ln -s "$kernel" "$out/kernel"
ln -s "$initrd" "$out/initrd"
ln -s "$modules" "$out/kernel-modules"

# unit NAME EXEC [LINE...]
unit() {
  name=$1
  printf '[Service]\nExecStart=%s\n' "$2" >"$units/$name"
  shift 2
  for line in "$@"; do echo "$line" >>"$units/$name"; done
}

unit steady@.service "$steady/bin/steady infinity"
unit plain.service "$plain/bin/plain infinity"
unit kept.service "$plain/bin/plain infinity" X-RestartIfChanged=false
unit many@.service "$plain/bin/plain infinity"
unit socket.service "$plain/bin/plain infinity"
printf '[Socket]\nListenStream=/run/lab/socket\n' >"$units/socket.socket"
unit script.service "$script"
unit wrapper.service "$wrapper/bin/wrap infinity"
unit deleted.service "$deleted/bin/deleted infinity"
unit library.service "$steady/bin/steady infinity" "Environment=LD_PRELOAD=$library/lib/libextra.so"
# process ids and a root of its own, as a container has, and our store
unit container.service "/usr/bin/unshare --pid --fork --kill-child $plain/bin/plain infinity" \
  KillSignal=SIGKILL TemporaryFileSystem=/ "BindReadOnlyPaths=/nix /usr /bin /lib -/lib64"
# it starts what no system has, as a CI runner does
unit runner.service "/bin/sh -c 'PATH=/run/lab/job:\$PATH job infinity & wait'"
printf '[Service]\nExecStart=%s\n' "$plain/bin/plain infinity" >"$out/etc/systemd/user/own.service"
