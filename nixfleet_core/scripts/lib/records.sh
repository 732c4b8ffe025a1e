# shellcheck shell=sh
# Records: "KEY LENGTH", the value, a newline. The length is in bytes, which a shell counts if LC_ALL is C.
# A value may hold any text, even lines that look like a record: readers use the lengths.

# put KEY VALUE
put() {
  printf '%s %s\n' "$1" "${#2}"
  put_text "$2"
}
# put_text TEXT: print it; if printf is a program (mksh), the kernel would refuse a long word
put_text() {
  if [ "${#1}" -lt 100000 ]; then printf '%s\n' "$1"; return; fi
  cat <<EOF
$1
EOF
}
put_some() { if [ -n "$2" ]; then put "$1" "$2"; fi; }

# nf_record KEY: its value in a probe's answer on stdin; false if the key is missing.
nf_record() {
  nf_begin_records || return 1
  while nf_next_record; do
    if [ "$nf_record_key" = "$1" ]; then put_text "$nf_record_value"; return 0; fi
  done
  return 1
}

# nf_begin_records: a probe's answer on stdin begins; false if it is none.
nf_begin_records() {
  IFS= read -r nf_begin_records_line && [ "$nf_begin_records_line" = 'nixfleet-probe 1' ]
}

# nf_next_record: read the next record from stdin; false if it is torn, or if there is no other.
# sets: nf_record_key, nf_record_value
nf_next_record() {
  IFS=' ' read -r nf_record_key nf_next_record_length || return 1
  case $nf_next_record_length in '' | *[!0-9]*) return 1 ;; esac
  if [ "$nf_record_key" = end ]; then nf_record_value=''; return 0; fi
  IFS= read -r nf_record_value || return 1
  while [ "${#nf_record_value}" -lt "$nf_next_record_length" ]; do
    IFS= read -r nf_next_record_line || return 1
    nf_record_value="$nf_record_value
$nf_next_record_line"
  done
  [ "${#nf_record_value}" -eq "$nf_next_record_length" ]
}
