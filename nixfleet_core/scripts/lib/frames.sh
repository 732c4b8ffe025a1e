# shellcheck shell=sh
# shellcheck disable=SC2034 # send_at goes to the scripts around it
# A framed stream: "@KIND OFFSET LENGTH", LENGTH bytes, a newline.

NF_CHUNK=1048576

frame() { printf '@%s %s %s\n%s\n' "$1" "$2" "${#3}" "$3"; }

# frame_file KIND FILE OFFSET LENGTH: a frame with that part of the file; tail seeks, head cuts
frame_file() {
  printf '@%s %s %s\n' "$1" "$3" "$4"
  tail -c "+$(($3 + 1))" "$2" | head -c "$4"
  echo
}

# send KIND FILE AT SIZE: send at most one chunk; send_at is then the client's offset
# sets: send_at
send() {
  send_at=$3
  send_part=$(($4 - $3))
  if [ "$send_part" -le 0 ]; then return 1; fi
  if [ "$send_part" -gt "$NF_CHUNK" ]; then send_part=$NF_CHUNK; fi
  frame_file "$1" "$2" "$3" "$send_part"
  send_at=$(($3 + send_part))
}
