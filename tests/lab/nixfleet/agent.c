/* Stand-in for nixfleet-agent: says its version, or runs until SIGTERM.
   A release writes its version over the placeholder in the compiled program, and over the other one
   how it misbehaves: stubborn (ignores SIGTERM), mute (--version never ends), crash (ends at once), unwell
   (--check fails) or wordless (does not know --check). With LAB_BECOMES in its environment it becomes a
   shell that runs that, with the agent's path and a rebuild's name as arguments, as a hostile one can. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile char version[32] = "@VERSION@";
static volatile char behaviour[32] = "@BEHAVES@";

static void leave(int signal) { (void)signal; _exit(0); }

int main(int argc, char **argv) {
  char text[sizeof version];
  for (unsigned i = 0; i < sizeof version; i++) text[i] = version[i];
  if (argc > 1 && !strcmp(argv[1], "--version")) {
    while (behaviour[0] == 'm') pause();
    return printf("nixfleet-agent %s\n", text) < 0;
  }
  if (argc > 1 && !strcmp(argv[1], "--help") && behaviour[0] != 'w')
    return printf("usage: nixfleet-agent [--version | --check]\n") < 0;
  if (argc > 1 && !strcmp(argv[1], "--check") && behaviour[0] != 'w') {
    int well = getenv("NIXFLEET_URL") && getuid() && behaviour[0] != 'u';
    printf("uid %u, NIXFLEET_URL=%s: %s\n", getuid(), getenv("NIXFLEET_URL"), well ? "connected" : "no answer");
    return !well;
  }
  if (behaviour[0] == 'c') return fprintf(stderr, "panic: no such table: hosts\n"), 2;
  if (getenv("LAB_BECOMES"))
    return execl("/bin/sh", "sh", "-c", getenv("LAB_BECOMES"), argv[0], "nixos-rebuild", (char *)0);
  signal(SIGTERM, behaviour[0] == 's' ? SIG_IGN : leave);
  signal(SIGINT, leave);
  setvbuf(stdout, 0, _IOLBF, 0);
  printf("nixfleet-agent %s started\n", text);
  for (;;) pause();
}
