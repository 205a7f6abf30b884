// The C client of shm:// mailboxes (interop/naru_ring.h) where ring.c has a bare ring: real mailboxes with seats, envelopes and
// doorbells. One mailbox there, one back. Messages are read where they lie; with COPIES they are copied first, as in ring.c.
#include "../../../interop/naru_ring.h"

#include "rival.h"

enum { BURST_MAX = 256 };

static char names[2][64];
// Without a seat; they keep the mailboxes there while one process after the other takes part.
static naru keepers[2];
// This process's: a handle does not survive a fork.
static naru ends[2];
static pid_t opened_by;
static naru_message messages[BURST_MAX];
static int burst_max;
static uint32_t lane_bytes = 1u << 20;
#ifdef COPIES
static uint8_t *copy;
#endif

static void check(const naru *handle, int code) {
  if (code >= 0) return;
  fprintf(stderr, "%s: %s\n", naru_error_name(code), handle->problem);
  exit(1);
}

static void open_end(naru *handle, int which, unsigned role) {
  const naru_shape shape = {NARU_1_TO_1, NARU_OWNER_USERS, lane_bytes};
  check(handle, naru_create(handle, names[which], role, &shape));
}

// Once in each process; role 0 is a way that is not used.
static void open_ends(unsigned there, unsigned back) {
  if (opened_by == getpid()) return;
  opened_by = getpid();
  open_end(&ends[0], 0, there);
  open_end(&ends[1], 1, back);
}

static void close_all(void) {
  if (opened_by == getpid())
    for (int i = 0; i < 2; i++) naru_close(&ends[i]);
  for (int i = 0; i < 2; i++) naru_close(&keepers[i]);
}

static void ring_open(void) {
  burst_max = body_bytes < 4096 ? BURST_MAX : 1;
  while (lane_bytes < 16 * body_bytes) lane_bytes *= 2;
#ifdef COPIES
  // Aligned: what crosses a cache line is not forwarded from the store to the load behind it.
  if ((copy = aligned_alloc(64, (body_bytes + 63) / 64 * 64)) == NULL) fail("aligned_alloc");
#endif
  for (int i = 0; i < 2; i++) {
    snprintf(names[i], sizeof names[i], "bench-client-%d-%d", getpid(), i);
    open_end(&keepers[i], i, 0);
  }
  atexit(close_all);
}

static void look_at(const naru_message *message) {
  if (message->size != body_bytes) abort();
#ifdef COPIES
  memcpy(copy, message->body, message->size);
  touch(copy);
#else
  touch(message->body);
#endif
}

static void ring_produce(uint64_t count) {
  naru *end = &ends[0];
  open_ends(NARU_PRODUCER, 0);
  for (uint64_t sequence = 0; sequence < count;) {
    for (int burst = 0; burst < burst_max && sequence < count; burst++) {
      void *body = NULL;
      const int code = naru_claim(end, body_bytes, &body);
      if (code == NARU_E_FULL) break;
      check(end, code);
      make_body(body, (uint32_t)sequence++);
    }
    naru_publish(end);
  }
  for (int i = 0; i < 2; i++) naru_close(&ends[i]);
}

static void ring_consume(uint64_t count) {
  naru *end = &ends[0];
  open_ends(NARU_CONSUMER, 0);
  for (uint64_t done = 0; done < count;) {
    const int taken = naru_receive_many(end, messages, burst_max);
    if (taken == NARU_E_EMPTY) continue;
    check(end, taken);
    for (int i = 0; i < taken; i++) look_at(&messages[i]);
    check(end, naru_ack_many(end, messages, taken));
    done += (uint64_t)taken;
  }
}

static void send_ball(naru *end) {
  void *body = NULL;
  int code;
  while ((code = naru_claim(end, body_bytes, &body)) == NARU_E_FULL) continue;
  check(end, code);
  make_body(body, 1);
  naru_publish(end);
}

static void await_ball(naru *end) {
  int code;
  while ((code = naru_try_receive(end, messages)) == NARU_E_EMPTY) continue;
  check(end, code);
  const uint8_t *body = messages[0].body;
  if (body[0] + body[body_bytes - 1] < 2) abort();
  check(end, naru_ack(end, messages));
}

// getpid(2) in each round trip would be measured with it: only the parent pings.
static void ring_ping(void) {
  static bool has_begun;
  if (!has_begun) open_ends(NARU_PRODUCER, NARU_CONSUMER);
  has_begun = true;
  send_ball(&ends[0]);
  await_ball(&ends[1]);
}

// The child is a new process in every run, and its parent never comes here.
static void ring_pong(void) {
  static bool has_begun;
  if (!has_begun) open_ends(NARU_CONSUMER, NARU_PRODUCER);
  has_begun = true;
  await_ball(&ends[0]);
  send_ball(&ends[1]);
}

const rival the_rival = {ring_open, ring_produce, ring_consume, ring_ping, ring_pong, 100};
