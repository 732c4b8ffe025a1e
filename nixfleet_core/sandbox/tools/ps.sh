# shellcheck shell=sh
# `ps` for machines without one (a bare Linux has no procps), from /proc. It knows the options of the host
# scripts: -A, -p PID, -o FIELD= and -w (it never cuts a line), and refuses everything else.

refuse() { echo "error: $1" >&2; exit 1; }

# The command line as procps shows it in the C locale: only ASCII, and no control characters.
words() {
  text=$(tr '\000\n' '  ' <"/proc/$pid/cmdline" | LC_ALL=C tr '\001-\037\177' . | LC_ALL=C tr '\200-\377' '?')
  if [ -z "$text" ]; then text=${stat#*(} text="[${text%)*}]"; fi
  printf '%s' "$text"
}

# Its age, as [[DAYS-]HOURS:]MINUTES:SECONDS.
age() {
  read -r up _ </proc/uptime
  awk -v up="$up" -v begun="$1" -v ticks="$(getconf CLK_TCK)" 'BEGIN {
    s = int(up - begun / ticks); d = int(s / 86400); h = int(s % 86400 / 3600)
    if (d) printf "%d-", d
    if (d || h) printf "%02d:", h
    printf "%02d:%02d", s % 3600 / 60, s % 60 }'
}

began() {
  boot=$(sed -n 's/^btime //p' /proc/stat)
  LC_ALL=C date -d "@$((boot + $1 / $(getconf CLK_TCK)))" '+%a %b %e %H:%M:%S %Y'
}

pids='' fields=''
while [ $# -gt 0 ]; do
  case $1 in
    -A) pids=$(cd /proc && echo [0-9]*) ;;
    -p) pids=$2; shift ;;
    -o) fields="$fields ${2%=}"; shift ;;
    -w | -ww) ;;
    *) refuse "$1 is not known" ;;
  esac
  shift
done
case $pids in '' | *[!0-9\ ]*) refuse 'only -A and -p PID are known' ;; esac
if [ -z "$fields" ]; then refuse 'only -o FIELD= is known'; fi

code=1
for pid in $pids; do
  { stat=$(cat "/proc/$pid/stat"); } 2>/dev/null || continue
  # shellcheck disable=SC2086 # from the state on, which is field 3 in proc(5)
  set -- ${stat##*) }
  line=''
  for field in $fields; do
    case $field in
      pid) value=$pid ;;
      ppid) value=$2 ;;
      pgid) value=$3 ;;
      uid) value=$(awk '$1 == "Uid:" { print $3 }' "/proc/$pid/status") ;;
      args) value=$(words) ;;
      etime) value=$(age "${20}") ;;
      lstart) value=$(began "${20}") ;;
      *) refuse "unknown user-defined format specifier \"$field\"" ;;
    esac
    line="$line $value"
  done 2>/dev/null
  printf '%s\n' "${line# }"
  code=0
done
exit "$code"
