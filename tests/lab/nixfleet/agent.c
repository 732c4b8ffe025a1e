/* Stand-in for nixfleet-agent: says its version, or runs until SIGTERM.
   A release writes its version over the placeholder in the compiled program. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile char version[32] = "@VERSION@";

static void leave(int signal) { (void)signal; _exit(0); }

int main(int argc, char **argv) {
  char text[sizeof version];
  for (unsigned i = 0; i < sizeof version; i++) text[i] = version[i];
  if (argc > 1 && !strcmp(argv[1], "--version")) return printf("nixfleet-agent %s\n", text) < 0;
  signal(SIGTERM, leave);
  signal(SIGINT, leave);
  setvbuf(stdout, 0, _IOLBF, 0);
  printf("nixfleet-agent %s started\n", text);
  for (;;) pause();
}
