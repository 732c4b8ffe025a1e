# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # its variables go to the parts that use it, and come from them
# The generations of the profile, and where a host goes back to. Asks, and changes nothing.

# nf_generations: their numbers, newest first.
nf_generations() {
  for nf_generations_link in "$NF_PROFILE"-*-link; do
    nf_generations_number=${nf_generations_link#"$NF_PROFILE-"}
    nf_generations_number=${nf_generations_number%-link}
    case $nf_generations_number in '' | *[!0-9]* | ??????????*) ;; *) echo "$nf_generations_number" ;; esac
  done | sort -rn
}

# nf_generation NUMBER: its path, as the host names it; false if it is gone.
nf_generation() { nf_stored "$NF_PROFILE-$1-link"; }

# nf_number: the number of the generation that the profile names.
nf_number() {
  nf_number_link=$(readlink "$NF_PROFILE") nf_number_link=${nf_number_link##*/}
  nf_number_link=${nf_number_link#"${NF_PROFILE##*/}-"} nf_number_link=${nf_number_link%-link}
  case $nf_number_link in '' | *[!0-9]*) return 1 ;; *) echo "$nf_number_link" ;; esac
}

# nf_number_of PATH: the newest generation that is PATH; the profile's own one comes first.
nf_number_of() {
  for nf_number_of_one in $(nf_number) $(nf_generations); do
    if [ "$(nf_generation "$nf_number_of_one")" = "$1" ]; then echo "$nf_number_of_one"; return 0; fi
  done
  return 1
}

# nf_parent_of SYSTEM: the generation that has it as a specialisation, in the same order.
nf_parent_of() {
  for nf_parent_of_one in $(nf_number) $(nf_generations); do
    if nf_has_special "$NF_PROFILE-$nf_parent_of_one-link" "$1"; then echo "$nf_parent_of_one"; return 0; fi
  done
  return 1
}

# nf_has_special GENERATION SYSTEM: true if SYSTEM is one of its specialisations, which are systems of their
# own in the store.
nf_has_special() {
  for nf_has_special_link in "$1"/specialisation/*; do
    if [ "$(nf_stored "$nf_has_special_link")" = "$2" ]; then return 0; fi
  done
  return 1
}

# nf_can_activate FILE: true if it is a whole store path that can be activated, and no path inside one: root
# runs what is there.
nf_can_activate() {
  nf_can_activate_is=$(nf_stored "$1") || return 1
  [ "$nf_can_activate_is" = "$(nf_package "$nf_can_activate_is")" ] && [ -x "$1/$(nf_activation)" ]
}

# --- what looks have seen

# nf_saw FILE KEY: a value in a job's look, if it is one plain word. What comes from the checkout on is not
# read: it is long.
nf_saw() {
  [ -r "$1" ] || return 1
  {
    nf_begin_records || return 1
    while nf_next_record; do
      case $nf_record_key in
        "$2") break ;;
        checkout.* | end) return 1 ;;
      esac
    done
  } <"$1"
  case $nf_record_key,$nf_record_value in
    *,*[!0-9A-Za-z+._?=/-]*) return 1 ;;
    "$2",?*) printf '%s\n' "$nf_record_value" ;;
    *) return 1 ;;
  esac
}

# nf_saw_system FILE KEY: the same, if it is a path in the store.
nf_saw_system() {
  nf_saw_system_path=$(nf_saw "$1" "$2") || return 1
  case $nf_saw_system_path in /nix/store/?*) printf '%s\n' "$nf_saw_system_path" ;; *) return 1 ;; esac
}

# --- where to go back to

# nf_find_back ACTIVE PROFILE NUMBER: where the profile goes if a host is put back to ACTIVE, while PROFILE,
# generation NUMBER, was in the profile. A profile of which a job has seen that its activation failed goes to
# the generation of ACTIVE; every other one stays, as one that `nixos-rebuild boot` has staged.
# sets: nf_back_profile, nf_back_number
nf_find_back() {
  nf_back_profile=$2 nf_back_number=$3
  if [ "$1" = "$2" ] || nf_has_special "$NF_ROOT$2" "$1" || ! nf_half_moved "$2" "$1"; then return 0; fi
  nf_find_back_parent=$(nf_number_of "$1" || nf_parent_of "$1") || return 0
  nf_back_number=$nf_find_back_parent nf_back_profile=$(nf_generation "$nf_find_back_parent")
}

# nf_half_moved PROFILE ACTIVE: true if a job has moved the profile to PROFILE and left another system active,
# and no job has seen PROFILE active since. One that only waits for a reboot has not failed.
nf_half_moved() {
  if nf_needs_boot "$NF_ROOT$1" "$NF_ROOT$2"; then return 1; fi
  nf_half_moved_so=''
  for nf_half_moved_job in $(nf_jobs); do
    nf_half_moved_was=''
    for nf_half_moved_look in "$NF_JOBS/$nf_half_moved_job/before" "$NF_JOBS/$nf_half_moved_job/after"; do
      nf_half_moved_now=$(nf_saw_system "$nf_half_moved_look" system.profile) || continue
      if [ "$(nf_saw_system "$nf_half_moved_look" system.current)" = "$1" ]; then nf_half_moved_so=''
      elif [ "$nf_half_moved_now" = "$1" ] && [ "${nf_half_moved_was:-$1}" != "$1" ]; then
        nf_half_moved_so=1
      fi
      nf_half_moved_was=$nf_half_moved_now
    done
  done
  [ -n "$nf_half_moved_so" ]
}
