// The program around a contestant in C: `rival flow|ping BODY_BYTES ends|whole`, then a number of messages or round trips a line on
// standard input, and a line of results for each on standard output. Every run has a
// producer process of its own.
#include "rival.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

size_t body_bytes;

static uint8_t *sample;
static bool reads_whole;
static uint32_t expected;
static uint64_t first_ns;

void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void *shared_memory(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  return memory;
}

void make_body(uint8_t *body, uint32_t sequence) {
  memcpy(body, sample, body_bytes);
  memcpy(body, &sequence, sizeof sequence);
}

void touch(const uint8_t *body) {
  uint32_t sequence;
  memcpy(&sequence, body, sizeof sequence);
  const uint8_t last = body[body_bytes - 1];
  // No byte but those of the number is 0: a search for one reads them all.
  if (sequence != expected || last != 1 ||
      (reads_whole && memchr(body + sizeof sequence, 0, body_bytes - sizeof sequence) != NULL)) {
    fprintf(stderr, "expected message %u, got %u with %u as its last byte\n", expected, sequence, last);
    exit(1);
  }
  if (sequence == 0) first_ns = now_ns();
  expected = sequence + 1;
}

static uint64_t cpu_ns(const struct rusage *usage) {
  return ((uint64_t)usage->ru_utime.tv_sec + (uint64_t)usage->ru_stime.tv_sec) * 1000000000u +
         ((uint64_t)usage->ru_utime.tv_usec + (uint64_t)usage->ru_stime.tv_usec) * 1000u;
}

static int ascending(const void *left, const void *right) {
  const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

static void run_flow(uint64_t count) {
  expected = 0;
  the_rival.consume(count);
  const uint64_t took = now_ns() - first_ns;
  if (expected != count) {
    fprintf(stderr, "expected %llu messages, got %u\n", (unsigned long long)count, expected);
    exit(1);
  }
  printf("flow %llu %llu", (unsigned long long)count, (unsigned long long)took);
}

static void run_ping(uint64_t count) {
  const uint64_t a_time = the_rival.trips_a_time, times = (count + a_time - 1) / a_time;
  uint64_t *took = calloc(times, sizeof *took);
  if (took == NULL) fail("calloc");
  for (uint64_t i = 0; i < times; i++) {
    const uint64_t started = now_ns();
    for (uint64_t trip = 0; trip < a_time; trip++) the_rival.ping();
    took[i] = now_ns() - started;
  }
  qsort(took, times, sizeof *took, ascending);
  printf("ping %llu %.1f %.1f", (unsigned long long)(times * a_time), (double)took[times / 2] / (double)a_time,
         (double)took[times * 99 / 100] / (double)a_time);
  free(took);
}

static void far_side(bool is_flow, uint64_t count) {
  // Not longer than whoever measures.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (is_flow) the_rival.produce(count);
  else {
    const uint64_t a_time = the_rival.trips_a_time, trips = (count + a_time - 1) / a_time * a_time;
    for (uint64_t trip = 0; trip < trips; trip++) the_rival.pong();
  }
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc != 4 || (body_bytes = strtoull(argv[2], NULL, 10)) < 8) {
    fprintf(stderr, "usage: %s flow|ping BODY_BYTES ends|whole\n", argv[0]);
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const bool is_flow = strcmp(argv[1], "flow") == 0;
  reads_whole = strcmp(argv[3], "whole") == 0;
  sample = malloc(body_bytes);
  if (sample == NULL) fail("malloc");
  memset(sample, 1, body_bytes);
  the_rival.open();
  unsigned long long count;
  while (scanf("%llu", &count) == 1) {
    struct rusage before, after, child;
    getrusage(RUSAGE_SELF, &before);
    const pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) far_side(is_flow, count);
    if (is_flow) run_flow(count);
    else run_ping(count);
    getrusage(RUSAGE_SELF, &after);
    int status;
    if (wait4(pid, &status, 0, &child) != pid) fail("wait4");
    printf(" %llu %llu\n", (unsigned long long)(cpu_ns(&after) - cpu_ns(&before)), (unsigned long long)cpu_ns(&child));
    fflush(stdout);
  }
  return 0;
}
