// Naru's ring as one would write it in C: lanes of one producer and one consumer with the record layout of
// docs/internals/shm-layout.md. Two lanes: there (0) and back (1). Both sides spin; nobody is rung.
#include "rival.h"

#include <stdatomic.h>
#include <string.h>
#include <stdlib.h>

enum { UNIT = 8, HEADER = 8, LINE = 128, KIND_MESSAGE = 1, KIND_PADDING = 2 };
#ifdef ENVELOPED
enum { ENVELOPE = 16, ENVELOPE_VERSION = 1 };
#else
enum { ENVELOPE = 0, ENVELOPE_VERSION = 0 };
#endif

// Positions count units of 8 bytes and wrap at 2^32. Each side's word has two cache lines to itself.
typedef struct {
  _Alignas(LINE) _Atomic uint32_t tail;
  _Alignas(LINE) _Atomic uint32_t head;
  _Atomic uint32_t taken;
} lane_words;

typedef struct {
  lane_words *words;
  uint8_t *data;
  uint32_t units;
} lane;

// What each side keeps to itself.
typedef struct {
  uint32_t write, head;
} writer;
typedef struct {
  uint32_t read, tail;
} reader;

static lane lanes[2];
static writer writers[2];
static reader readers[2];
static uint8_t *copy;
static double sent_ms;
// Messages between two stores of the tail, or of the head; a large one is published as soon as it is there.
static uint32_t burst_max;

static void ring_open(void) {
  burst_max = body_bytes < 4096 ? 256 : 1;
  // As in Naru: 1 MiB, and for large bodies room for sixteen of them.
  uint32_t lane_bytes = 1u << 20;
  while (lane_bytes < 16 * body_bytes) lane_bytes *= 2;
  for (int i = 0; i < 2; i++) {
    lanes[i].words = shared_memory(sizeof(lane_words));
    lanes[i].data = shared_memory(lane_bytes);
    lanes[i].units = lane_bytes / UNIT;
  }
  copy = aligned_alloc(64, (body_bytes + 63) / 64 * 64);
  if (copy == NULL) fail("aligned_alloc");
}

static void put_header(const lane *at, uint32_t index, uint32_t length, uint32_t flags) {
  const uint32_t header[2] = {length, flags};
  memcpy(at->data + (size_t)index * UNIT, header, sizeof header);
}

// Where the payload goes, or NULL while there is no room.
static uint8_t *reserve(const lane *at, writer *own, uint32_t length) {
  const uint32_t units = (length + HEADER + UNIT - 1) / UNIT;
  uint32_t index = own->write & (at->units - 1);
  const uint32_t until_end = at->units - index;
  const uint32_t needed = units > until_end ? units + until_end : units;
  if (needed > at->units - (own->write - own->head)) {
    own->head = atomic_load_explicit(&at->words->head, memory_order_acquire);
    if (needed > at->units - (own->write - own->head)) return NULL;
  }
  if (units > until_end) {
    put_header(at, index, until_end * UNIT - HEADER, KIND_PADDING);
    index = 0;
  }
  put_header(at, index, length, KIND_MESSAGE);
  own->write += needed;
  return at->data + (size_t)index * UNIT + HEADER;
}

// Version, number and time, where the records carry them. Returns where the body goes, or is.
static uint8_t *put_envelope(uint8_t *payload, uint32_t sequence) {
  if (ENVELOPE == 0) return payload;
  const uint32_t head[2] = {ENVELOPE_VERSION, sequence + 1};
  memcpy(payload, head, sizeof head);
  memcpy(payload + sizeof head, &sent_ms, sizeof sent_ms);
  return payload + ENVELOPE;
}
static const uint8_t *open_envelope(const uint8_t *payload) {
  uint32_t version = ENVELOPE_VERSION;
  if (ENVELOPE > 0) memcpy(&version, payload, sizeof version);
  if (version != ENVELOPE_VERSION) abort();
  return payload + ENVELOPE;
}

static void publish(const lane *at, const writer *own) {
  atomic_store_explicit(&at->words->tail, own->write, memory_order_release);
}

// The next payload in shared memory, checked; NULL while there is none.
static const uint8_t *next(const lane *at, reader *own, uint32_t *length) {
  for (;;) {
    if (own->read == own->tail) {
      own->tail = atomic_load_explicit(&at->words->tail, memory_order_acquire);
      if (own->read == own->tail) return NULL;
    }
    const uint32_t index = own->read & (at->units - 1);
    uint32_t header[2];
    memcpy(header, at->data + (size_t)index * UNIT, sizeof header);
    const uint32_t units = (header[0] + HEADER + UNIT - 1) / UNIT;
    if (units > own->tail - own->read || units > at->units - index) abort();
    own->read += units;
    if ((header[1] & 0xff) != KIND_MESSAGE) continue;
    *length = header[0];
    return at->data + (size_t)index * UNIT + HEADER;
  }
}

// Says what was handed out before the user sees it, and after that what is done.
static void store_taken(const lane *at, const reader *own) {
  atomic_store_explicit(&at->words->taken, own->read, memory_order_release);
}
static void settle(const lane *at, const reader *own) {
  atomic_store_explicit(&at->words->head, own->read, memory_order_release);
}

static void ring_produce(uint64_t count) {
  const lane *at = &lanes[0];
  writer own = {.write = atomic_load(&at->words->tail), .head = atomic_load(&at->words->head)};
  for (uint64_t sequence = 0; sequence < count;) {
    uint32_t burst = 0;
    if (ENVELOPE > 0) sent_ms = (double)(now_ns() / 1000000);
    for (; burst < burst_max && sequence < count; burst++, sequence++) {
      uint8_t *payload = reserve(at, &own, (uint32_t)body_bytes + ENVELOPE);
      if (payload == NULL) break;
      make_body(put_envelope(payload, (uint32_t)sequence), (uint32_t)sequence);
    }
    if (burst > 0) publish(at, &own);
  }
}

static void ring_consume(uint64_t count) {
  const lane *at = &lanes[0];
  reader *own = &readers[0];
  for (uint64_t done = 0; done < count;) {
    uint32_t length, burst = 0;
    const uint8_t *payload;
    while (burst < burst_max && (payload = next(at, own, &length)) != NULL) {
      const uint8_t *body = open_envelope(payload);
#ifdef IN_PLACE
      touch(body);
#else
      memcpy(copy, body, length - ENVELOPE);
      touch(copy);
#endif
      burst++;
    }
    if (burst == 0) continue;
    store_taken(at, own);
    settle(at, own);
    done += burst;
  }
}

static void send_ball(int to, uint32_t sequence) {
  uint8_t *payload;
  while ((payload = reserve(&lanes[to], &writers[to], (uint32_t)body_bytes + ENVELOPE)) == NULL) continue;
  make_body(put_envelope(payload, sequence), sequence);
  publish(&lanes[to], &writers[to]);
}

static void await_ball(int from) {
  uint32_t length;
  const uint8_t *payload;
  while ((payload = next(&lanes[from], &readers[from], &length)) == NULL) continue;
  memcpy(copy, open_envelope(payload), length - ENVELOPE);
  store_taken(&lanes[from], &readers[from]);
  settle(&lanes[from], &readers[from]);
  if (copy[0] + copy[body_bytes - 1] < 2) abort();
}

static void ring_ping(void) {
  send_ball(0, 1);
  await_ball(1);
}

// The child is a new process in every run: it goes on where the last one stopped.
static void ring_pong(void) {
  static bool has_begun;
  if (!has_begun) {
    has_begun = true;
    readers[0].read = readers[0].tail = atomic_load(&lanes[0].words->head);
    writers[1].write = atomic_load(&lanes[1].words->tail);
    writers[1].head = atomic_load(&lanes[1].words->head);
  }
  await_ball(0);
  send_ball(1, 1);
}

const rival the_rival = {ring_open, ring_produce, ring_consume, ring_ping, ring_pong, 100};
