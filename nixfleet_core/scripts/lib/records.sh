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
  IFS= read -r nf_record_line && [ "$nf_record_line" = 'nixfleet-probe 1' ] || return 1
  while IFS=' ' read -r nf_record_key nf_record_length; do
    case $nf_record_length in '' | *[!0-9]*) return 1 ;; esac
    IFS= read -r nf_record_value || return 1
    while [ "${#nf_record_value}" -lt "$nf_record_length" ]; do
      IFS= read -r nf_record_line || return 1
      nf_record_value="$nf_record_value
$nf_record_line"
    done
    if [ "${#nf_record_value}" -ne "$nf_record_length" ]; then return 1; fi
    if [ "$nf_record_key" = "$1" ]; then put_text "$nf_record_value"; return 0; fi
  done
  return 1
}
