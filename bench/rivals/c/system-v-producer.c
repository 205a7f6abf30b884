// Not a contestant by itself: `system-v-producer QUEUE_ID BODY_BYTES` sends into a queue that somebody else reads, a number of messages
// a line on standard input, and answers each line with the processor time it took, in nanoseconds. Bodies as in bodies.ts.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>

typedef struct {
  long type;
  uint8_t body[];
} message;

static uint64_t cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv) {
  size_t body_bytes;
  if (argc != 3 || (body_bytes = strtoull(argv[2], NULL, 10)) < sizeof(uint32_t)) {
    fprintf(stderr, "usage: %s QUEUE_ID BODY_BYTES\n", argv[0]);
    return 2;
  }
  // Not longer than whoever measures.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int queue = atoi(argv[1]);
  message *it = malloc(sizeof *it + body_bytes);
  if (it == NULL) return 1;
  it->type = 1;
  memset(it->body, 1, body_bytes);
  unsigned long long count;
  while (scanf("%llu", &count) == 1) {
    const uint64_t before = cpu_ns();
    for (uint32_t sequence = 0; sequence < count; sequence++) {
      memcpy(it->body, &sequence, sizeof sequence);
      if (msgsnd(queue, it, body_bytes, 0) != 0) {
        perror("msgsnd");
        return 1;
      }
    }
    printf("%llu\n", (unsigned long long)(cpu_ns() - before));
    fflush(stdout);
  }
  return 0;
}
