# Wait for network to be ready before starting agent
HEALTH_URL='https://fleet.example.org/health'
MAX_WAIT=60
WAITED=0
while ! /usr/bin/curl -sf --connect-timeout 2 --max-time 5 "$HEALTH_URL" >/dev/null 2>&1; do
  if [ $WAITED -ge $MAX_WAIT ]; then
    echo "Warning: Network not ready after ${MAX_WAIT}s, starting anyway..." >&2
    break
  fi
  sleep 2
  WAITED=$((WAITED + 2))
done
[ $WAITED -gt 0 ] && echo "Network ready after ${WAITED}s" >&2
export NIXFLEET_URL="wss://fleet.example.org/ws"
exec @agent@/bin/nixfleet-agent
