# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `systemctl`, as far as the host scripts use it. It reads a unit's file, and its state: one line while it
# lives or has failed: ActiveState SubState MainPID Result NRestarts. `systemd`, beside this, changes units.

states=$root/run/systemd/units

refuse() { printf '%s\n' "$2" >&2; exit "$1"; }

# look UNIT: read its file and its state.
# sets: load about exec type file transient active sub pid result restarts
look() {
  load=not-found about=$1 exec='' type=simple file='' transient=no
  for folder in etc/systemd/system run/systemd/system run/systemd/transient; do
    if [ -f "$root/$folder/$1" ]; then load=loaded; break; fi
    if [ -e "$root/$folder/$1" ]; then load=masked; break; fi # a link to /dev/null
  done
  if [ "$load" = loaded ]; then
    while IFS='=' read -r key value; do
      case $key in Description) about=$value ;; ExecStart) exec=$value ;; Type) type=$value ;; esac
    done <"$root/$folder/$1"
    file=/$folder/$1
    case $folder in */transient) transient=yes ;; esac
  fi
  { read -r active sub pid result restarts <"$states/$1"; } 2>/dev/null ||
    { active=inactive sub=dead pid=0 result=success restarts=0; }
}

# Print in systemd's order, whatever the order of the options.
show() {
  case $active in inactive | failed) group='' ;; *) group=/system.slice/$unit ;; esac
  tell Type "$type"
  tell MainPID "$pid"
  tell Result "$result"
  tell NRestarts "$restarts"
  if [ -n "$exec" ]; then
    tell ExecStart "{ path=${exec%% *} ; argv[]=$exec ; ignore_errors=no ; start_time=[n/a] ; \
stop_time=[n/a] ; pid=$pid ; code=(null) ; status=0/0 }"
  fi
  tell ControlGroup "$group"
  tell Id "$unit"
  tell LoadState "$load"
  tell ActiveState "$active"
  tell SubState "$sub"
  tell FragmentPath "$file"
  tell DropInPaths ''
  tell NeedDaemonReload no
  tell RefuseManualStop no
  tell Transient "$transient"
}

tell() { case $wanted in *" $1 "*) printf '%s=%s\n' "$1" "$2" ;; esac; }

# Whether this change of a unit is possible.
may_change() {
  gone="Unit $unit not loaded."
  case $verb,$load,$active in
    start,not-found,* | restart,not-found,*) refuse 5 "Failed to $verb $unit: Unit $unit not found." ;;
    start,masked,* | restart,masked,*) refuse 1 "Failed to $verb $unit: Unit $unit is masked." ;;
    stop,not-found,inactive) refuse 5 "Failed to stop $unit: $gone" ;;
    kill,not-found,inactive) refuse 1 "Failed to kill unit $unit: $gone" ;;
    reset-failed,not-found,inactive) refuse 1 "Failed to reset failed state of unit $unit: $gone" ;;
  esac
}

verb='' wanted=' ' units='' signal=TERM
while [ $# -gt 0 ]; do
  case $1 in
    -p) wanted="$wanted$2 "; shift ;;
    -s) signal=$2; shift ;;
    --plain | --no-legend | --all) ;;
    --user) refuse 1 'Failed to connect to bus: No medium found' ;;
    -*) refuse 1 "systemctl: unrecognized option '$1'" ;;
    *)
      if [ -z "$verb" ]; then verb=$1
      else
        case $1 in
          *[*?[]*) # those that live or have failed
            # shellcheck disable=SC2231 # a pattern is to be one
            for state in "$states"/$1; do if [ -e "$state" ]; then units="$units ${state##*/}"; fi; done
            ;;
          *.*) units="$units $1" ;;
          *) units="$units $1.service" ;;
        esac
      fi
      ;;
  esac
  shift
done

code=0 gap=:
case $verb in
  is-active) code=3 ;;
  show | list-units | start | stop | restart | kill | reset-failed) ;;
  daemon-reload) exit 0 ;; # unit files are read each time
  *) refuse 1 "Unknown command verb '$verb'." ;;
esac
for unit in $units; do
  look "$unit"
  case $verb in
    show) $gap; gap='echo'; show ;;
    list-units) printf '%s\n' "$unit loaded $active $sub $about" ;;
    is-active)
      echo "$active"
      case $active,$load,$code in active,*) code=0 ;; *,not-found,3) code=4 ;; esac
      ;;
    *) may_change; "${0%/*}/systemd" "$verb" "$unit" "$signal" || code=$? ;;
  esac
done
exit "$code"
