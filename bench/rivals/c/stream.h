// Contestants over two pairs of descriptors: a write for each message, a read for each. Whoever includes this makes the pairs.
#ifndef NARU_BENCH_STREAM_H
#define NARU_BENCH_STREAM_H
#include "rival.h"

#include <stdlib.h>
#include <unistd.h>

// Reading and writing end of the way there (0) and of the way back (1).
static int read_ends[2], write_ends[2];
static uint8_t *buffer;

static void make_buffer(void) {
  buffer = malloc(body_bytes);
  if (buffer == NULL) fail("malloc");
}

static void put(int way, uint32_t sequence) {
  make_body(buffer, sequence);
  for (size_t done = 0; done < body_bytes;) {
    const ssize_t wrote = write(write_ends[way], buffer + done, body_bytes - done);
    if (wrote < 0) fail("write");
    done += (size_t)wrote;
  }
}

static void take(int way) {
  for (size_t done = 0; done < body_bytes;) {
    const ssize_t got = read(read_ends[way], buffer + done, body_bytes - done);
    if (got <= 0) fail("read");
    done += (size_t)got;
  }
}

static void stream_produce(uint64_t count) {
  for (uint64_t sequence = 0; sequence < count; sequence++) put(0, (uint32_t)sequence);
}

static void stream_consume(uint64_t count) {
  for (uint64_t done = 0; done < count; done++) {
    take(0);
    touch(buffer);
  }
}

static void stream_ping(void) {
  put(0, 1);
  take(1);
}

static void stream_pong(void) {
  take(0);
  put(1, 1);
}

#endif
