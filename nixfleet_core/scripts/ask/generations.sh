# shellcheck shell=sh
# shellcheck disable=SC2154 # its variables come from the parts beside it
# What a host can go back to: "@nf denied" if we may not read its jobs. Else, with "-" for what is not known:
#   @nf now ACTIVE PROFILE NUMBER     @nf booted SYSTEM
#   @nf generation NUMBER PATH AGENT  for each generation, newest first
#   @nf job ID                        for each job, oldest first; then its plan.json on a line
#   @nf look ID SIDE ACTIVE PROFILE AGENT     what the job's look saw; AGENT only if it was proven
#   @nf back ID ACTIVE PROFILE NUMBER AGENT LOCK   what was before the job, if that is still here; LOCK is
#     "lock" if the job has kept the flake.lock from before it

GENERATIONS_MOST=100

generations() {
  if nf_is_hidden "$NF_JOBS"; then echo '@nf denied'; return; fi
  for generations_id in $(nf_jobs); do
    if ! [ -r "$NF_JOBS/$generations_id/plan.json" ]; then echo '@nf denied'; return; fi
  done
  generations_line '@nf now' "$(nf_stored "$(nf_active)")" "$(nf_stored "$NF_PROFILE")" "$(nf_number)"
  generations_line '@nf booted' "$(nf_stored "$NF_ROOT/run/booted-system")"
  nf_generations | head -n "$GENERATIONS_MOST" | while read -r generations_number; do
    generations_path=$(nf_generation "$generations_number") || continue
    generations_line '@nf generation' "$generations_number" "$generations_path" \
      "$(agent_in "$generations_path")"
  done
  for generations_id in $(nf_jobs); do
    echo "@nf job $generations_id"
    head -c 65536 "$NF_JOBS/$generations_id/plan.json" | tr -d '\n'
    echo
    generations_job "$generations_id"
  done
}

# generations_line BEGINNING WORD...: a line of the answer.
generations_line() {
  printf '%s' "$1"
  shift
  for generations_line_word in "$@"; do printf ' %s' "${generations_line_word:--}"; done
  echo
}

# generations_job ID: what its looks saw, and what was before it.
generations_job() {
  generations_job_before=$NF_JOBS/$1/before
  generations_look "$1" before
  generations_look "$1" after
  generations_job_active=$(nf_saw_system "$generations_job_before" system.current) || return 0
  generations_job_profile=$(nf_saw_system "$generations_job_before" system.profile) || return 0
  generations_job_number=''
  if generations_job_back=$(nf_saw_system "$generations_job_before" back.profile); then
    generations_job_profile=$generations_job_back
  else # an older version's job
    nf_find_back "$generations_job_active" "$generations_job_profile" ''
    generations_job_profile=$nf_back_profile generations_job_number=$nf_back_number
  fi
  generations_job_number=${generations_job_number:-$(nf_number_of "$generations_job_profile")}
  if nf_can_activate "$NF_ROOT$generations_job_active" &&
    nf_can_activate "$NF_ROOT$generations_job_profile"; then
    generations_job_lock=''
    if [ -e "$NF_JOBS/$1/flake.lock.before" ]; then generations_job_lock=lock; fi
    generations_line '@nf back' "$1" "$generations_job_active" "$generations_job_profile" \
      "$generations_job_number" "$(agent_in "$generations_job_active")" "$generations_job_lock"
  fi
}

# generations_look ID SIDE
generations_look() {
  generations_look_file=$NF_JOBS/$1/$2 generations_look_runs=''
  if ! [ -r "$generations_look_file" ]; then return 0; fi
  case $(nf_saw "$generations_look_file" running.proof) in
    exe | script) generations_look_runs=$(nf_saw_system "$generations_look_file" running.path) ;;
  esac
  generations_line '@nf look' "$1" "$2" "$(nf_saw_system "$generations_look_file" system.current)" \
    "$(nf_saw_system "$generations_look_file" system.profile)" "$generations_look_runs"
}

# agent_in SYSTEM: the program that its unit starts.
agent_in() {
  for agent_in_file in etc/systemd/system/nixfleet-agent.service \
    home-files/.config/systemd/user/nixfleet-agent.service LaunchAgents/com.nixfleet.agent.plist; do
    if ! [ -r "$NF_ROOT$1/$agent_in_file" ]; then continue; fi
    nf_agent_paths <"$NF_ROOT$1/$agent_in_file" | head -n 1
    return
  done
}
