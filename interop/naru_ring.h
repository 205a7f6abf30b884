// A client of Naru's shm:// mailboxes for programs in C11 on Linux. One file, nothing but libc: include it and link nothing.
// The protocol is docs/internals/shm-layout.md; how to use this is interop/README.md.
//
// Covered: queues (deliver: one) of every relation, with one priority: sending, receiving, settling, sleeping, recovery of the
// dead, making and removing mailboxes. Refused with NARU_E_UNSUPPORTED: topics (deliver: all) and mailboxes with several
// priorities. Left out: mailboxes shared by a group (accessGroup), sending headers, and receipts for what is sent.
//
// A handle is used by one thread at a time, and does not survive fork(): a child that keeps the handle's files open keeps its
// dead parent alive in the eyes of the others. Names that begin with naru__ are not for programs.
#ifndef NARU_RING_H
#define NARU_RING_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <dirent.h>
#if defined(__GLIBC__) && !defined(__USE_GNU)
#error "include naru_ring.h before every other header, or compile with -D_GNU_SOURCE"
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined(__linux__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "shm:// mailboxes exist on Linux with little-endian numbers only"
#endif

// ---- What programs use ---------------------------------------------------------------------------------------------------

// What the functions return where they fail. naru_error_name() gives the name that Naru's documentation uses for it.
enum {
  NARU_OK = 0,
  NARU_E_EMPTY = -1,             // nothing to take at the moment
  NARU_E_FULL = -2,              // no room at the moment
  NARU_E_TIMEOUT = -3,           // the time is over
  NARU_E_INTERRUPTED = -4,       // a signal handler ran while this thread slept
  NARU_E_ENDED = -5,             // nobody sends any more, and everything has been taken
  NARU_E_CLOSED = -6,            // closed by its owner, or removed
  NARU_E_PEER_GONE = -7,         // its owner is dead
  NARU_E_NOT_FOUND = -8,         // there is no such mailbox
  NARU_E_EXISTS = -9,            // it is there, and of another shape
  NARU_E_DENIED = -10,           // somebody else's, or open to others
  NARU_E_LIMIT = -11,            // no free seat, no memory
  NARU_E_CORRUPT = -12,          // no mailbox, truncated, or a lane with a damaged record
  NARU_E_UNSUPPORTED = -13,      // another version of the layout, or what this header leaves out
  NARU_E_TOO_LARGE = -14,        // longer than the mailbox's messages may be
  NARU_E_INVALID_ARGUMENT = -15, // a bad name, the wrong role, NULL
  NARU_E_SETTLED = -16,          // the message was settled before
  NARU_E_SYSTEM = -17            // the system refused something: errno, and `problem`
};

// Roles of a handle; both together are allowed, and neither: that only keeps the mailbox there.
enum { NARU_PRODUCER = 1, NARU_CONSUMER = 2 };

// Ways to make a mailbox, as in the header's fields `relation` and `owner`.
enum { NARU_1_TO_1 = 1, NARU_N_TO_1 = 2, NARU_1_TO_N = 3, NARU_N_TO_N = 4 };
enum { NARU_OWNER_USERS = 1, NARU_OWNER_PROCESS = 2, NARU_OWNER_SYSTEM = 3 };

typedef struct {
  uint32_t relation;
  uint32_t owner;
  // Of each producer's lane: a power of two from 4096; 0 = 1 MiB. A message may be an eighth of it.
  uint32_t lane_bytes;
} naru_shape;

// A received message. It lies in shared memory: read it before settling it, and where its producer is not trusted copy it before
// you check it. Sender, sequence, time and headers: naru_sender() and the functions behind it.
typedef struct {
  const void *body;
  size_t size;
  uint32_t deliveries; // 1 = first; more: redelivered after a death or a nack
  uint32_t naru__lane, naru__start, naru__end, naru__flags, naru__fields_size;
} naru_message;

typedef struct {
  const void *body;
  size_t size;
} naru_body;

// ---- What a handle consists of -------------------------------------------------------------------------------------------

enum {
  NARU__PAGE = 4096,
  NARU__SLOTS = 64,
  NARU__SLOT_STRIDE = 256,
  NARU__LANES_AT = NARU__PAGE + NARU__SLOTS * NARU__SLOT_STRIDE,
  NARU__LANE_STRIDE = 512,
  NARU__LANES_MAX = 16,
  NARU__CONSUMERS_MAX = 32,
  NARU__CURSOR_STRIDE = 128,
  NARU__LEVELS_MAX = 10,
  NARU__RETAIN_MAX = 65536,
  NARU__IDENTITY_MAX = 96,
  NARU__PREFIX = 16,
  NARU__AHEAD = 512,
  NARU__LINE = 64,
  NARU__ENVELOPE = 1,
  NARU__HAS_FIELDS = 0x100,
  // Header.
  NARU__H_MAGIC = 0,
  NARU__H_KIND = 4,
  NARU__H_BYTE_ORDER = 8,
  NARU__H_MAJOR = 12,
  NARU__H_FEATURES = 20,
  NARU__H_FILE_BYTES = 28,
  NARU__H_SLOTS_AT = 32,
  NARU__H_SLOT_STRIDE = 36,
  NARU__H_SLOTS = 40,
  NARU__H_LANES_AT = 44,
  NARU__H_LANE_STRIDE = 48,
  NARU__H_LANES = 52,
  NARU__H_DATA_AT = 56,
  NARU__H_LANE_BYTES = 60,
  NARU__H_SLOT_BYTES = 64,
  NARU__H_MAX_MESSAGE = 68,
  NARU__H_RELATION = 72,
  NARU__H_OWNER = 76,
  NARU__H_PRODUCERS = 80,
  NARU__H_CONSUMERS_MAX = 84,
  NARU__H_CREATED = 88,
  NARU__H_CREATOR = 96,
  NARU__H_DELIVER = 100,
  NARU__H_LOSSY = 104,
  NARU__H_LEVELS = 108,
  NARU__H_RETAIN = 112,
  NARU__H_CURSORS_AT = 116,
  NARU__H_CURSOR_STRIDE = 120,
  NARU__H_READY = 256,
  NARU__H_CLOSED = 384,
  NARU__H_ENDED = 388,
  NARU__H_MEMBERSHIP = 392,
  NARU__H_CONSUMER_MASK = 512,
  NARU__H_LEVEL_LANES = 516,
  NARU__H_CONSUMERS = 640,
  // Participant.
  NARU__P_STATE = 0,
  NARU__P_GENERATION = 4,
  NARU__P_PID = 8,
  NARU__P_THREAD = 12,
  NARU__P_START_LOW = 16,
  NARU__P_START_HIGH = 20,
  NARU__P_HANDLE = 24,
  NARU__P_FENCE = 64,
  NARU__P_BELL = 128,
  NARU__P_THREAD_BELL = 132,
  NARU__P_WANTS = 136,
  NARU__FREE = 0,
  NARU__TAKEN = 1,
  NARU__LEAVING = 2,
  NARU__AWAKE = 0,
  NARU__PARKED_LOOP = 1,
  NARU__RUNG = 2,
  NARU__PARKED_THREAD = 3,
  NARU__WANT_MESSAGES = 1,
  NARU__WANT_ROOM = 2,
  NARU__WANT_RECEIPTS = 4,
  // Lane.
  NARU__L_OWNER = 0,
  NARU__L_FAULT = 4,
  NARU__L_TAIL = 128,
  NARU__L_HEAD = 256,
  NARU__L_TAKEN = 260,
  NARU__L_IDENTITY_BYTES = 268,
  NARU__L_IDENTITY = 272,
  NARU__L_HOLD = 384,
  NARU__L_RETURNED = 388,
  NARU__L_TAKEN_VERSION = 392,
  NARU__L_TAKEN_BYTES = 396,
  NARU__L_TAKEN_IDENTITY = 400,
  NARU__RECOVERER = 255,
  // Record.
  NARU__MESSAGE = 1,
  NARU__PADDING = 2,
  NARU__IDENTITY_RECORD = 3,
  NARU__KIND = 0xff,
  NARU__RECEIPT = 0x100,
  NARU__TTL = 0x200,
  NARU__SETTLED = 0x400,
  NARU__RELEASED = 0x800,
  NARU__DROPPED = 0x1000,
  NARU__RECEIVED = 0x2000,
  NARU__RETURNED = 0x4000,
  NARU__COUNT_SHIFT = 16,
  NARU__OWNER_SHIFT = 24,
  NARU__FIELD_TTL = 8,
  NARU__FIELD_PREFIX = 5
};
#define NARU__MAGIC 0x5552414eu
#define NARU__RING 0x474e4952u
#define NARU__ORDER 0x01020304u
#define NARU__READY 0x59444552u
#define NARU__FILE_MAX 0x7ffff000u
#define NARU__COUNT_MASK 0x00ff0000u
#define NARU__OWNER_MASK 0xff000000u
#define NARU__PRODUCER_BITS (uint32_t)(NARU__KIND | NARU__RECEIPT | NARU__TTL)
#define NARU__SAFETY_NS 500000000
#define NARU__LOCK_WAIT_MS 5000
#define NARU__NO_FIELDS UINT32_MAX

typedef _Atomic uint32_t naru__word;

// What a consumer keeps to itself of a lane.
typedef struct {
  naru__word *record_words; // the lane's data
  uint8_t *entry;           // its entry in the lane table
  uint32_t index;
  uint32_t read;          // position of the next record to look at
  uint32_t tail;          // as it was loaded last
  uint32_t first;         // exclusive: first record that is not settled
  uint32_t head, taken;   // exclusive: as stored last
  uint32_t recover_until; // exclusive: what lies before it was handed out by an earlier consumer
  uint32_t marks;         // exclusive: identity records from `first` to `read`
  uint32_t unsettled;
  uint32_t version; // competing: of the sender's text
  bool is_open, is_recovering, is_scattered, is_faulted, is_fault_told, is_room_untold;
  char sender[NARU__IDENTITY_MAX + 1];
  char again[NARU__IDENTITY_MAX + 1]; // sender of what came back
} naru__lane;

// A message that came back to an exclusive consumer, and who sent it.
typedef struct {
  naru_message message;
  char sender[NARU__IDENTITY_MAX + 1];
} naru__again;

typedef struct {
  // What failed last, in words.
  char problem[256];
  // How long naru_receive() and naru_send() look before they sleep; 20 unless changed.
  uint32_t spin_micros;
  // Messages that were damaged or had expired, and were not handed out.
  uint64_t dropped;
  // News found without having been rung: 0 unless somebody died.
  uint64_t safety_wakeups;
  // This handle: "<pid>.<start>.<thread>/<handle>".
  char identity[NARU__IDENTITY_MAX + 1];
  // Longest body that can be sent.
  uint32_t max_body_bytes;

  // The rest is not for programs.
  uint8_t *base;
  size_t file_bytes;
  int ring_fd, folder_fd, fifo_fd;
  ino_t inode;
  unsigned role;
  int gone; // error of every call from now on
  uint32_t units, lane_bytes, data_at, slot_units, max_payload, producers, consumers, owner;
  bool is_competing;
  uint32_t slot, mark, epoch, seat;
  uint32_t next_rung;
  int64_t looked_ns;
  uint32_t calls;
  // Producer.
  naru__word *lane_words;
  uint8_t *data;
  uint32_t write, published, head, need, sequence;
  uint32_t clear; // units behind `write` that are free and in one piece, as far as is known
  bool is_identity_done;
  double time_ms;
  // Consumer.
  uint32_t cursor;
  naru__lane lanes[NARU__LANES_MAX];
  naru__again *again;
  uint32_t again_count, again_room;
  struct {
    uint32_t generation;
    int fd;
  } bells[NARU__SLOTS];
  char folder[512];
} naru;

// Handles of this process, counted once for all files that include this.
__attribute__((weak)) naru__word naru__handles;

// ---- Words, errors, time -------------------------------------------------------------------------------------------------

static inline naru__word *naru__word_at(uint8_t *base, size_t offset) {
  return (naru__word *)(void *)(base + offset);
}
static inline naru__word *naru__h(const naru *m, uint32_t offset) { return naru__word_at(m->base, offset); }
static inline naru__word *naru__p(const naru *m, uint32_t slot, uint32_t offset) {
  return naru__word_at(m->base, NARU__PAGE + (size_t)slot * NARU__SLOT_STRIDE + offset);
}
static inline naru__word *naru__l(const naru *m, uint32_t lane, uint32_t offset) {
  return naru__word_at(m->base, NARU__LANES_AT + (size_t)lane * NARU__LANE_STRIDE + offset);
}
static inline uint32_t naru__plain(naru__word *word) {
  return atomic_load_explicit(word, memory_order_relaxed);
}
// How far `a` is ahead of `b`.
static inline int32_t naru__distance(uint32_t a, uint32_t b) { return (int32_t)(a - b); }

__attribute__((format(printf, 3, 4), cold)) static inline int naru__fail(naru *m, int code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(m->problem, sizeof m->problem, format, arguments);
  va_end(arguments);
  return code;
}
__attribute__((cold)) static inline int naru__system(naru *m, const char *what) {
  const int number = errno;
  const int code = number == EACCES || number == EPERM || number == ELOOP            ? NARU_E_DENIED
                   : number == ENOSPC || number == ENOMEM || number == EMFILE || number == ENFILE ? NARU_E_LIMIT
                                                                                       : NARU_E_SYSTEM;
  naru__fail(m, code, "%s: %s: %s", m->folder, what, strerror(number));
  errno = number;
  return code;
}

static inline int64_t naru__now_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
static inline void naru__pause_ms(long ms) {
  const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

// Between two looks of a loop that spins.
static inline void naru__relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// The name of an error as Naru's documentation has it.
static inline const char *naru_error_name(int code) {
  static const char *const names[] = {
      "OK",           "EMPTY",       "NARU_FULL",    "NARU_TIMEOUT",   "NARU_INTERRUPTED",
      "ENDED",        "NARU_CLOSED", "NARU_PEER_GONE", "NARU_NOT_FOUND", "NARU_EXISTS",
      "NARU_DENIED",  "NARU_LIMIT",  "NARU_CORRUPT", "NARU_UNSUPPORTED", "NARU_TOO_LARGE",
      "NARU_INVALID_ARGUMENT", "NARU_SETTLED", "SYSTEM"};
  return code > 0 || code < NARU_E_SYSTEM ? "?" : names[-code];
}

// ---- Proof of life -------------------------------------------------------------------------------------------------------

// Start of a process in clock ticks since boot; false when there is none, or a zombie.
static inline bool naru__process_start(uint32_t pid, uint64_t *start) {
  char path[40], text[1024];
  snprintf(path, sizeof path, "/proc/%u/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return false;
  text[length] = 0;
  // The command in parentheses may hold anything.
  const char *at = strrchr(text, ')');
  if (at == NULL || at[1] == 0 || at[2] == 'Z' || at[2] == 'X') return false;
  at += 2;
  for (int field = 0; field < 19 && at != NULL; field++) at = strchr(at + 1, ' ');
  return at != NULL && sscanf(at, "%lu", (unsigned long *)start) == 1;
}
static inline bool naru__is_process_gone(const naru *m, uint32_t slot) {
  const uint32_t pid = atomic_load(naru__p(m, slot, NARU__P_PID));
  const uint64_t high = atomic_load(naru__p(m, slot, NARU__P_START_HIGH));
  const uint64_t start = high << 32 | atomic_load(naru__p(m, slot, NARU__P_START_LOW));
  uint64_t now = 0;
  if (naru__process_start(pid, &now)) return now != start;
  // /proc may hide the processes of others.
  return pid == 0 || pid > INT_MAX || kill((pid_t)pid, 0) == 0 || errno != EPERM;
}
static inline void naru__bell_name(char name[8], uint32_t slot) { snprintf(name, 8, "p%u", slot & 0xff); }

// Only ever true on proof.
static inline bool naru__is_dead(const naru *m, uint32_t slot) {
  char name[8];
  struct stat status;
  naru__bell_name(name, slot);
  const int fd = openat(m->folder_fd, name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno == ENXIO || (errno == ENOENT && naru__is_process_gone(m, slot));
  bool is_dead;
  if (fstat(fd, &status) != 0) is_dead = false;
  else if (!S_ISFIFO(status.st_mode)) is_dead = naru__is_process_gone(m, slot);
  else is_dead = flock(fd, LOCK_SH | LOCK_NB) == 0;
  close(fd);
  return is_dead;
}

// ---- Doorbell ------------------------------------------------------------------------------------------------------------

static inline long naru__futex(naru__word *word, int operation, uint32_t value, const struct timespec *timeout) {
  return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

// One byte into the FIFO of a sleeper. Its reader may be gone: the SIGPIPE of that is ours, not the program's.
static inline bool naru__write_bell(naru *m, uint32_t slot) {
  const uint32_t generation = atomic_load(naru__p(m, slot, NARU__P_GENERATION));
  int *fd = &m->bells[slot].fd;
  if (*fd >= 0 && m->bells[slot].generation != generation) {
    close(*fd);
    *fd = -1;
  }
  if (*fd < 0) {
    char name[8];
    struct stat status;
    naru__bell_name(name, slot);
    *fd = openat(m->folder_fd, name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0) return false;
    // Never into a file that somebody laid in its place.
    if (fstat(*fd, &status) != 0 || !S_ISFIFO(status.st_mode)) {
      close(*fd);
      *fd = -1;
      return false;
    }
    m->bells[slot].generation = generation;
  }
  sigset_t pipe_signal, before, pending;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigpending(&pending);
  const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  sigprocmask(SIG_BLOCK, &pipe_signal, &before);
  // A full FIFO wakes as well as one more byte.
  const bool is_rung = write(*fd, "", 1) == 1 || errno == EAGAIN;
  if (!is_rung) {
    const struct timespec now = {0, 0};
    if (!was_pending) sigtimedwait(&pipe_signal, NULL, &now);
    close(*fd);
    *fd = -1;
  }
  sigprocmask(SIG_SETMASK, &before, NULL);
  return is_rung;
}

static inline bool naru__sleeps_for(const naru *m, uint32_t slot, uint32_t want) {
  const uint32_t state = atomic_load(naru__p(m, slot, NARU__P_BELL)) & 3;
  if (state != NARU__PARKED_LOOP && state != NARU__PARKED_THREAD) return false;
  // want 0 is control, which everybody wants.
  return want == 0 || (atomic_load(naru__p(m, slot, NARU__P_WANTS)) & want) != 0;
}

// Wakes a participant if it sleeps and wants this; after the news was stored.
static inline bool naru__ring(naru *m, uint32_t slot, uint32_t want) {
  naru__word *bell = naru__p(m, slot, NARU__P_BELL);
  uint32_t word = atomic_load(bell);
  if ((word & 3) == NARU__AWAKE || (word & 3) == NARU__RUNG) return false;
  if (want != 0 && (atomic_load(naru__p(m, slot, NARU__P_WANTS)) & want) == 0) return false;
  if ((word & 3) == NARU__PARKED_LOOP) {
    if (!naru__write_bell(m, slot)) return false;
  } else {
    naru__word *thread_bell = naru__p(m, slot, NARU__P_THREAD_BELL);
    atomic_fetch_add(thread_bell, 1);
    naru__futex(thread_bell, FUTEX_WAKE, 1, NULL);
  }
  // Ring first: a ringer that dies here leaves a bell that others still ring. From exactly what was loaded: same epoch.
  atomic_compare_exchange_strong(bell, &word, (word & ~3u) | NARU__RUNG);
  return true;
}

// The slot that a seat mark names; NARU__SLOTS for nobody, and for a mark that no table has room for.
static inline uint32_t naru__slot_of(uint32_t mark) {
  const uint32_t slot = (mark & 0xff) - 1;
  return slot < NARU__SLOTS ? slot : NARU__SLOTS;
}

static inline bool naru__ring_some(naru *m, uint32_t mask, uint32_t except) {
  for (; mask != 0; mask &= mask - 1) {
    const uint32_t seat = (uint32_t)__builtin_ctz(mask);
    const uint32_t slot = naru__slot_of(atomic_load(naru__h(m, NARU__H_CONSUMERS + 4 * seat)));
    if (slot == NARU__SLOTS || slot == except || !naru__ring(m, slot, NARU__WANT_MESSAGES)) continue;
    m->next_rung = (seat + 1) % NARU__CONSUMERS_MAX;
    return true;
  }
  return false;
}
// One consumer that sleeps, and another one each time.
static inline void naru__ring_consumers(naru *m, uint32_t except) {
  const uint32_t mask = atomic_load(naru__h(m, NARU__H_CONSUMER_MASK));
  const uint32_t later = mask & (UINT32_MAX << m->next_rung);
  if (later != 0 && naru__ring_some(m, later, except)) return;
  if (later != mask) naru__ring_some(m, mask & ~later, except);
}
static inline void naru__ring_all(naru *m) {
  for (uint32_t slot = 0; slot < NARU__SLOTS; slot++)
    if (slot != m->slot && atomic_load(naru__p(m, slot, NARU__P_STATE)) != NARU__FREE) naru__ring(m, slot, 0);
}

// ---- Records -------------------------------------------------------------------------------------------------------------

static inline naru__word *naru__record(const naru *m, uint32_t lane, uint32_t position) {
  return naru__word_at(m->base, m->data_at + (size_t)lane * m->lane_bytes + (size_t)(position & (m->units - 1)) * 8);
}
static inline uint32_t naru__units_of(uint32_t payload_bytes) { return (payload_bytes + 15) >> 3; }
static inline bool naru__is_message(uint32_t flags) { return (flags & NARU__KIND) == NARU__MESSAGE; }

// Units from a record to the next one, of `left` that may be looked at; 0 when it makes no sense.
static inline uint32_t naru__step(const naru *m, uint32_t position, uint32_t length, uint32_t flags, uint32_t left) {
  const uint32_t until_end = m->units - (position & (m->units - 1));
  const uint32_t kind = flags & NARU__KIND;
  if (length > until_end * 8 - 8 || kind == 0 || kind > NARU__IDENTITY_RECORD) return 0;
  const uint32_t units = kind == NARU__MESSAGE && m->slot_units != 0 ? m->slot_units : naru__units_of(length);
  return units > left || units > until_end ? 0 : units;
}
static inline bool naru__is_span(const naru *m, uint32_t from, uint32_t to) { return to - from <= m->units; }

// Whatever a damaged identity holds must not reach a terminal.
static inline void naru__copy_text(char *to, const void *from, uint32_t length) {
  if (length > NARU__IDENTITY_MAX) length = 0;
  memcpy(to, from, length);
  to[length] = 0;
  for (uint32_t i = 0; i < length; i++)
    if (to[i] < 0x21 || to[i] > 0x7e) to[i] = '?';
}

// Moves a position past an identity record: it lies AT the record while the text changes.
static inline void naru__pass_identity(const naru *m, uint32_t lane, uint32_t position_at, uint32_t bytes_at,
                                       uint32_t text_at, uint32_t position) {
  naru__word *record = naru__record(m, lane, position);
  uint32_t length = naru__plain(record);
  if (length > NARU__IDENTITY_MAX) length = NARU__IDENTITY_MAX;
  atomic_store(naru__l(m, lane, position_at), position);
  uint8_t *text = (uint8_t *)naru__l(m, lane, text_at);
  memset(text, 0, NARU__IDENTITY_MAX);
  memcpy(text, record + 2, length);
  atomic_store(naru__l(m, lane, bytes_at), length);
}
static inline void naru__pass_head(const naru *m, uint32_t lane, uint32_t position) {
  naru__pass_identity(m, lane, NARU__L_HEAD, NARU__L_IDENTITY_BYTES, NARU__L_IDENTITY, position);
}

// ---- Competing lanes: holding, settling, giving back ---------------------------------------------------------------------

static inline bool naru__try_hold(const naru *m, uint32_t lane, uint32_t from, uint32_t mark) {
  return atomic_compare_exchange_strong(naru__l(m, lane, NARU__L_HOLD), &from, mark);
}
static inline bool naru__is_head_settled(const naru *m, uint32_t lane) {
  const uint32_t head = naru__plain(naru__l(m, lane, NARU__L_HEAD));
  if (head == naru__plain(naru__l(m, lane, NARU__L_TAKEN))) return false;
  // After the store of `hold`, with which it must not change places.
  const uint32_t flags = atomic_load(naru__record(m, lane, head) + 1);
  return !naru__is_message(flags) || (flags & NARU__SETTLED) != 0;
}
// While holding. `is_damaged` ends the caller's loop: the record at the head makes no sense.
static inline bool naru__move_head(const naru *m, uint32_t lane, bool *is_damaged) {
  const uint32_t before = atomic_load(naru__l(m, lane, NARU__L_HEAD));
  const uint32_t until = atomic_load(naru__l(m, lane, NARU__L_TAKEN));
  uint32_t position = before;
  *is_damaged = !naru__is_span(m, before, until);
  while (!*is_damaged && position != until) {
    naru__word *record = naru__record(m, lane, position);
    const uint32_t length = naru__plain(record), flags = atomic_load(record + 1);
    if (naru__is_message(flags) && (flags & NARU__SETTLED) == 0) break;
    const uint32_t units = naru__step(m, position, length, flags, until - position);
    *is_damaged = units == 0;
    if (*is_damaged) break;
    if ((flags & NARU__KIND) == NARU__IDENTITY_RECORD) naru__pass_head(m, lane, position);
    position += units;
  }
  if (position == before) return false;
  // SYNC: room. Everybody is done with all bytes before it.
  atomic_store(naru__l(m, lane, NARU__L_HEAD), position);
  return true;
}
// Moves the head over what is settled; false too when a holder will do it.
static inline bool naru__advance(const naru *m, uint32_t lane, uint32_t mark) {
  bool is_moved = false, is_damaged = false;
  do {
    if (!naru__try_hold(m, lane, 0, mark)) return is_moved;
    is_moved = naru__move_head(m, lane, &is_damaged) || is_moved;
    atomic_store(naru__l(m, lane, NARU__L_HOLD), 0);
    // SYNC: advance. Whoever found the lane held had flagged its messages before it tried.
  } while (!is_damaged && naru__is_head_settled(m, lane));
  return is_moved;
}
static inline bool naru__let_go(const naru *m, uint32_t lane, uint32_t mark) {
  atomic_store(naru__l(m, lane, NARU__L_HOLD), 0);
  return naru__is_head_settled(m, lane) && naru__advance(m, lane, mark);
}
static inline uint32_t naru__returned_flags(uint32_t flags) {
  const uint32_t cleared = (flags & ~(NARU__OWNER_MASK | NARU__DROPPED)) | NARU__RETURNED;
  return (flags & NARU__COUNT_MASK) == NARU__COUNT_MASK ? cleared : cleared + (1u << NARU__COUNT_SHIFT);
}
// Gives back all that a slot has in a lane. Without holding (for one's own claims) the head may pass what is looked at.
static inline uint32_t naru__return_all(const naru *m, uint32_t lane, uint32_t slot) {
  const uint32_t owner = (slot + 1) << NARU__OWNER_SHIFT;
  naru__word *returned = naru__l(m, lane, NARU__L_RETURNED);
  // Before, for a death in between; and after, for one who looked in between.
  atomic_store(returned, 1);
  const uint32_t until = atomic_load(naru__l(m, lane, NARU__L_TAKEN));
  uint32_t position = atomic_load(naru__l(m, lane, NARU__L_HEAD)), count = 0;
  while (naru__is_span(m, position, until) && position != until) {
    naru__word *record = naru__record(m, lane, position);
    const uint32_t length = naru__plain(record), flags = atomic_load(record + 1);
    const uint32_t units = naru__step(m, position, length, flags, until - position);
    const uint32_t head = atomic_load(naru__l(m, lane, NARU__L_HEAD));
    if (naru__distance(head, position) > 0) {
      position = head;
      continue;
    }
    if (units == 0) break;
    if ((flags & NARU__OWNER_MASK) == owner && (flags & NARU__SETTLED) == 0 && naru__is_message(flags)) {
      atomic_store(record + 1, naru__returned_flags(flags));
      count += 1;
    }
    position += units;
  }
  atomic_store(returned, 1);
  return count;
}

// ---- The lock, the dead, leaving -----------------------------------------------------------------------------------------

// Takes the mailbox's lock, waiting up to `ms`. Returns its descriptor, or an error: NARU_E_NOT_FOUND when there is none.
static inline int naru__lock(naru *m, int flags, int ms) {
  for (int waited = 0;; waited += 1) {
    const int fd = openat(m->folder_fd, "lock", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600);
    if (fd < 0) return errno == ENOENT ? NARU_E_NOT_FOUND : naru__system(m, "opening its lock");
    struct stat mine, now;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
      // The mailbox may have been removed and made again in between.
      if (fstat(fd, &mine) == 0 && fstatat(m->folder_fd, "lock", &now, AT_SYMLINK_NOFOLLOW) == 0 &&
          mine.st_ino == now.st_ino && mine.st_dev == now.st_dev)
        return fd;
    } else if (errno != EWOULDBLOCK && errno != EINTR) {
      const int error = naru__system(m, "locking it");
      close(fd);
      return error;
    }
    close(fd);
    if (waited >= ms) return naru__fail(m, NARU_E_TIMEOUT, "%s: its lock is held by another process", m->folder);
    naru__pause_ms(1);
  }
}

// Everything of Naru's in the folder, the ring first; under the lock. What others put there stays.
static inline void naru__remove_bells(const naru *m) {
  const int fd = openat(m->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *list = fd < 0 ? NULL : fdopendir(fd);
  if (list == NULL) {
    if (fd >= 0) close(fd);
    return;
  }
  for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
    const char *name = entry->d_name;
    const size_t length = strlen(name);
    const bool is_bell = name[0] == 'p' && length > 1 && length <= 4 && strspn(name + 1, "0123456789") == length - 1;
    const bool is_spare = length == 41 && strncmp(name, "lock.", 5) == 0;
    if (is_bell || is_spare) unlinkat(m->folder_fd, name, 0);
  }
  closedir(list);
}
static inline void naru__remove_folder(const naru *m) {
  unlinkat(m->folder_fd, "ring", 0);
  naru__remove_bells(m);
  unlinkat(m->folder_fd, "lock", 0);
  // When somebody has just made a new lock in it, the folder is theirs now.
  rmdir(m->folder);
}

static inline uint32_t naru__mark_of(const naru *m, uint32_t slot) {
  return (atomic_load(naru__p(m, slot, NARU__P_GENERATION)) & 0xffffff) << 8 | (slot + 1);
}
static inline void naru__close_for(const naru *m, uint32_t reason) {
  uint32_t open_ = 0;
  atomic_compare_exchange_strong(naru__h(m, NARU__H_CLOSED), &open_, reason);
}
static inline uint32_t naru__used_lanes(const naru *m) {
  const uint32_t all = (uint32_t)((UINT64_C(1) << m->producers) - 1);
  return atomic_load(naru__h(m, NARU__H_LEVEL_LANES)) & all;
}

// A lane held by the dead is taken over; the living hold one for an instant, unless they are stopped.
static inline bool naru__hold_for_recovery(const naru *m, uint32_t lane, const uint32_t *gone, uint32_t gone_count) {
  for (int attempt = 0; attempt < 1000; attempt++) {
    const uint32_t holder = atomic_load(naru__l(m, lane, NARU__L_HOLD));
    bool is_free = holder == 0 || holder == NARU__RECOVERER;
    for (uint32_t i = 0; i < gone_count && !is_free; i++) is_free = gone[i] == holder;
    if (is_free && naru__try_hold(m, lane, holder, NARU__RECOVERER)) return true;
    sched_yield();
  }
  return false;
}

// Gives back everything a participant held, its slot last; under the lock. Every step may be the last one.
static inline void naru__vacate(naru *m, uint32_t slot, const uint32_t *gone, uint32_t gone_count) {
  const uint32_t mark = naru__mark_of(m, slot);
  bool is_whole = true;
  uint32_t count = 0;
  atomic_store(naru__p(m, slot, NARU__P_STATE), NARU__LEAVING);
  for (uint32_t lane = 0; lane < m->producers; lane++)
    if (atomic_load(naru__l(m, lane, NARU__L_OWNER)) == mark) atomic_store(naru__l(m, lane, NARU__L_OWNER), 0);
  if (m->is_competing)
    for (uint32_t used = naru__used_lanes(m); used != 0; used &= used - 1) {
      const uint32_t lane = (uint32_t)__builtin_ctz(used);
      if (!naru__hold_for_recovery(m, lane, gone, gone_count)) {
        is_whole = false;
        continue;
      }
      count += naru__return_all(m, lane, slot);
      naru__let_go(m, lane, NARU__RECOVERER);
    }
  for (uint32_t seat = 0; seat < m->consumers; seat++) {
    naru__word *consumer = naru__h(m, NARU__H_CONSUMERS + 4 * seat);
    if (atomic_load(consumer) != mark) continue;
    atomic_fetch_and(naru__h(m, NARU__H_CONSUMER_MASK), ~(UINT32_C(1) << seat));
    atomic_store(consumer, 0);
    count += 1;
  }
  char name[8];
  naru__bell_name(name, slot);
  unlinkat(m->folder_fd, name, 0);
  if (is_whole || count > 0) {
    atomic_fetch_add(naru__h(m, NARU__H_MEMBERSHIP), 1);
    naru__ring_all(m);
  }
  if (is_whole) atomic_store(naru__p(m, slot, NARU__P_STATE), NARU__FREE);
}
static inline void naru__creator_left(const naru *m, uint32_t slot, uint32_t reason) {
  if (m->owner == NARU_OWNER_PROCESS && atomic_load(naru__h(m, NARU__H_CREATOR)) == naru__mark_of(m, slot))
    naru__close_for(m, reason);
}

static inline bool naru__looks_dead(const naru *m, uint32_t slot) {
  const uint32_t state = atomic_load(naru__p(m, slot, NARU__P_STATE));
  if (state == NARU__FREE || slot == m->slot) return false;
  return state == NARU__LEAVING || naru__is_dead(m, slot);
}
// Frees the seats of the dead; under the lock.
static inline void naru__recover(naru *m) {
  uint32_t gone[NARU__SLOTS], slots[NARU__SLOTS], count = 0;
  for (uint32_t slot = 0; slot < NARU__SLOTS; slot++)
    if (naru__looks_dead(m, slot)) {
      slots[count] = slot;
      gone[count++] = naru__mark_of(m, slot);
    }
  for (uint32_t i = 0; i < count; i++) {
    naru__creator_left(m, slots[i], 2);
    naru__vacate(m, slots[i], gone, count);
  }
}
// Nobody is there any more for whose sake the mailbox is; the dead must be recovered before.
static inline bool naru__is_abandoned(const naru *m) {
  if (m->owner == NARU_OWNER_SYSTEM) return false;
  const uint32_t creator = atomic_load(naru__h(m, NARU__H_CREATOR));
  for (uint32_t slot = 0; slot < NARU__SLOTS; slot++)
    if (atomic_load(naru__p(m, slot, NARU__P_STATE)) != NARU__FREE &&
        (m->owner == NARU_OWNER_USERS || naru__mark_of(m, slot) == creator))
      return false;
  return true;
}

// What happened to the file behind the mapping: once it is shorter, touching the mapping is a SIGBUS.
static inline bool naru__is_whole(naru *m) {
  struct stat status;
  if (m->gone == NARU_E_CORRUPT) return false;
  if (fstat(m->ring_fd, &status) == 0 && (uint64_t)status.st_size == m->file_bytes) return true;
  m->gone = naru__fail(m, NARU_E_CORRUPT, "%s/ring was truncated by somebody", m->folder);
  return false;
}
static inline bool naru__is_in_place(naru *m) {
  struct stat status;
  if (!naru__is_whole(m)) return false;
  if (fstatat(m->folder_fd, "ring", &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ino == m->inode) return true;
  if (m->gone == 0) m->gone = naru__fail(m, NARU_E_CLOSED, "%s/ring was removed by somebody", m->folder);
  return false;
}
// Why nobody may use the mailbox any more; 0 while it is open.
static inline int naru__closed(naru *m) {
  if (m->gone != 0) return m->gone;
  const uint32_t closed = atomic_load(naru__h(m, NARU__H_CLOSED));
  if (closed == 0) return 0;
  return closed == 2 ? naru__fail(m, NARU_E_PEER_GONE, "%s: the process that owned it is dead", m->folder)
                     : naru__fail(m, NARU_E_CLOSED, "%s: it was closed by its owner or removed", m->folder);
}

// What no bell tells: deaths, the object's removal, a settled head that nobody moved. Every half second, on the way.
static inline void naru__look_around(naru *m) {
  m->looked_ns = naru__now_ns(CLOCK_MONOTONIC_COARSE);
  if (m->gone != 0 || !naru__is_in_place(m)) return;
  if (m->is_competing && (m->role & NARU_CONSUMER) != 0)
    for (uint32_t used = naru__used_lanes(m); used != 0; used &= used - 1)
      naru__advance(m, (uint32_t)__builtin_ctz(used), m->mark);
  bool has_dead = false;
  for (uint32_t slot = 0; slot < NARU__SLOTS && !has_dead; slot++) has_dead = naru__looks_dead(m, slot);
  if (!has_dead) return;
  // Busy: whoever has it looks too.
  const int lock = naru__lock(m, 0, 0);
  if (lock < 0) return;
  if (naru__is_in_place(m)) naru__recover(m);
  close(lock);
}
static inline void naru__look_sometimes(naru *m) {
  if (naru__now_ns(CLOCK_MONOTONIC_COARSE) - m->looked_ns >= NARU__SAFETY_NS) naru__look_around(m);
}

// ---- Sleeping ------------------------------------------------------------------------------------------------------------

static inline void naru__wake(naru *m) {
  atomic_store(naru__p(m, m->slot, NARU__P_BELL), m->epoch << 2 | NARU__AWAKE);
}
static inline void naru__sleep(naru__word *word, uint32_t value, int64_t ns) {
  const struct timespec timeout = {ns / 1000000000, ns % 1000000000};
  naru__futex(word, FUTEX_WAIT, value, &timeout);
}

// Sleeps until `is_ready` says so. `timeout_ms` below 0 is for ever.
static inline int naru__wait(naru *m, uint32_t wants, bool (*is_ready)(naru *), int timeout_ms) {
  const int64_t began = naru__now_ns(CLOCK_MONOTONIC);
  const int64_t deadline = timeout_ms < 0 ? INT64_MAX : began + (int64_t)timeout_ms * 1000000;
  const int64_t spin_until = began + (int64_t)m->spin_micros * 1000;
  naru__word *thread_bell = naru__p(m, m->slot, NARU__P_THREAD_BELL);
  for (int64_t now = began; now < spin_until && now < deadline; now = naru__now_ns(CLOCK_MONOTONIC)) {
    if (is_ready(m)) return NARU_OK;
    sched_yield();
  }
  for (;;) {
    const int64_t left = deadline - naru__now_ns(CLOCK_MONOTONIC);
    if (left <= 0) return is_ready(m) ? NARU_OK : naru__fail(m, NARU_E_TIMEOUT, "%s: %d ms are over", m->folder, timeout_ms);
    const int64_t slice = left < NARU__SAFETY_NS ? left : NARU__SAFETY_NS;
    // Before parking: whoever rings this sleep changes the word after this.
    const uint32_t value = atomic_load(thread_bell);
    atomic_store(naru__p(m, m->slot, NARU__P_WANTS), wants);
    m->epoch = (m->epoch + 1) & 0x3fffffff;
    // SYNC: park/ring. News stored before the ringer's load of this are seen by the look after it.
    atomic_store(naru__p(m, m->slot, NARU__P_BELL), m->epoch << 2 | NARU__PARKED_THREAD);
    if (is_ready(m)) {
      naru__wake(m);
      return NARU_OK;
    }
    const struct timespec timeout = {slice / 1000000000, slice % 1000000000};
    const int error = naru__futex(thread_bell, FUTEX_WAIT, value, &timeout) == 0 ? 0 : errno;
    if (!naru__is_whole(m)) return m->gone;
    if (error == ETIMEDOUT && slice == NARU__SAFETY_NS && is_ready(m)) {
      // Its ring may be on the way still.
      naru__sleep(thread_bell, value, 100000000);
      if (!naru__is_whole(m)) return m->gone;
      if (atomic_load(thread_bell) == value) m->safety_wakeups += 1;
    }
    naru__wake(m);
    if (is_ready(m)) return NARU_OK;
    if (error == EINTR) return naru__fail(m, NARU_E_INTERRUPTED, "%s: interrupted by a signal", m->folder);
    if (error == ETIMEDOUT) naru__look_around(m);
  }
}

// ---- Producing -----------------------------------------------------------------------------------------------------------

static inline int naru__refuse_send(naru *m) {
  const int closed = naru__closed(m);
  if (closed != 0) return closed;
  if (atomic_load(naru__h(m, NARU__H_ENDED)) != 0)
    return naru__fail(m, NARU_E_CLOSED, "%s: it was ended; nobody can send to it any more", m->folder);
  return naru__fail(m, NARU_E_CORRUPT, "%s: lane %u is damaged and out of use; open the mailbox again", m->folder, m->seat);
}
static inline bool naru__may_send(const naru *m) {
  // A value that is a moment old is as good.
  return m->gone == 0 && naru__plain(naru__h(m, NARU__H_CLOSED)) == 0 && naru__plain(naru__h(m, NARU__H_ENDED)) == 0 &&
         naru__plain(&m->lane_words[NARU__L_FAULT / 4]) == 0;
}

// What a record takes at this position, with the padding before it where it would cross the end of the lane.
static inline uint32_t naru__needed(const naru *m, uint32_t position, uint32_t units) {
  const uint32_t until_end = m->units - (position & (m->units - 1));
  return units > until_end ? units + until_end : units;
}
static inline void naru__put_header(const naru *m, uint32_t index, uint32_t length, uint32_t flags) {
  const uint32_t header[2] = {length, flags};
  memcpy(m->data + (size_t)index * 8, header, sizeof header);
}
static inline uint8_t *naru__reserve(naru *m, uint32_t units, uint32_t length, uint32_t flags) {
  uint32_t index = m->write & (m->units - 1);
  const uint32_t needed = naru__needed(m, m->write, units);
  if (needed > m->units - (m->write - m->head)) {
    m->need = needed;
    return NULL;
  }
  if (needed != units) {
    naru__put_header(m, index, (m->units - index) * 8 - 8, NARU__PADDING);
    index = 0;
  }
  naru__put_header(m, index, length, flags);
  m->write += needed;
  return m->data + (size_t)index * 8 + 8;
}
static inline uint8_t *naru__reserve_message(naru *m, uint32_t payload_bytes) {
  const uint32_t units = m->slot_units != 0 ? m->slot_units : naru__units_of(payload_bytes);
  if (!m->is_identity_done) {
    const uint32_t length = (uint32_t)strlen(m->identity);
    uint8_t *text = naru__reserve(m, naru__units_of(length), length, NARU__IDENTITY_RECORD);
    if (text == NULL) {
      // Room for both at once.
      m->need += naru__needed(m, m->write + m->need, units);
      return NULL;
    }
    memcpy(text, m->identity, length);
    m->is_identity_done = true;
  }
  return naru__reserve(m, units, payload_bytes, NARU__MESSAGE);
}
static inline int naru__find_room(naru *m) {
  const uint32_t head = atomic_load(&m->lane_words[NARU__L_HEAD / 4]);
  if (m->write - head > m->units)
    return naru__fail(m, NARU_E_CORRUPT, "%s: the head of lane %u is impossible", m->folder, m->seat);
  m->head = head;
  return NARU_OK;
}
__attribute__((cold)) static inline int naru__no_room(naru *m) {
  naru__look_sometimes(m);
  return NARU_E_FULL;
}

// Room for a payload wherever it is, after looking for it; and how much is known to lie behind it.
static inline int naru__claim_anew(naru *m, size_t size, uint8_t **at) {
  if ((m->role & NARU_PRODUCER) == 0) return naru__fail(m, NARU_E_INVALID_ARGUMENT, "%s: not a producer's handle", m->folder);
  if (!naru__may_send(m)) return naru__refuse_send(m);
  if (size > m->max_body_bytes)
    return naru__fail(m, NARU_E_TOO_LARGE, "%s: a body of %zu bytes, the limit is %u", m->folder, size, m->max_body_bytes);
  const uint32_t payload = (uint32_t)size + NARU__PREFIX;
  *at = naru__reserve_message(m, payload);
  if (*at == NULL) {
    const int error = naru__find_room(m);
    if (error != 0) return error;
    *at = naru__reserve_message(m, payload);
    if (*at == NULL) return naru__no_room(m);
  }
  const uint32_t until_end = m->units - (m->write & (m->units - 1)), room = m->units - (m->write - m->head);
  m->clear = room < until_end ? room : until_end;
  return NARU_OK;
}

// Room for a body of `size` bytes, to be written in place: it is sent by the next naru_publish(), unless naru_abandon() comes
// first. NARU_E_FULL: publish what there is, and try later.
static inline int naru_claim(naru *m, size_t size, void **body) {
  uint8_t *at = NULL;
  const uint32_t units = m->slot_units != 0 ? m->slot_units : naru__units_of((uint32_t)size + NARU__PREFIX);
  if (__builtin_expect(units <= m->clear && size <= m->max_body_bytes && naru__may_send(m), 1)) {
    const uint32_t index = m->write & (m->units - 1);
    naru__put_header(m, index, (uint32_t)size + NARU__PREFIX, NARU__MESSAGE);
    at = m->data + (size_t)index * 8 + 8;
    m->write += units;
    m->clear -= units;
  } else {
    const int error = naru__claim_anew(m, size, &at);
    if (error != NARU_OK) return error;
  }
  // Of the last tick, 1 to 4 ms ago: it costs a tenth, and a burst has one time anyway.
  if (m->time_ms == 0) m->time_ms = (double)(naru__now_ns(CLOCK_REALTIME_COARSE) / 1000000);
  const uint32_t head[2] = {NARU__ENVELOPE, ++m->sequence};
  memcpy(at, head, sizeof head);
  memcpy(at + 8, &m->time_ms, sizeof m->time_ms);
  *body = at + NARU__PREFIX;
  return NARU_OK;
}

// Puts a copy of a message behind what is there; nobody sees it before naru_publish(). Never waits.
static inline int naru_put(naru *m, const void *body, size_t size) {
  void *at = NULL;
  const int error = naru_claim(m, size, &at);
  if (error != 0) return error;
  if (size > 0) memcpy(at, body, size);
  return NARU_OK;
}

// Sends everything that was put or claimed, with one store, and wakes a consumer if one sleeps.
static inline void naru_publish(naru *m) {
  if (m->gone != 0 || m->write == m->published) return;
  m->published = m->write;
  m->time_ms = 0;
  // SYNC: publish/consume. The bytes before the tail are seen before it. A fence behind a plain store orders it before the look at the
  // bells as a sequentially consistent store does, and lets it go out while the lines of the bodies are still fetched.
  atomic_store_explicit(&m->lane_words[NARU__L_TAIL / 4], m->write, memory_order_release);
  atomic_thread_fence(memory_order_seq_cst);
  naru__ring_consumers(m, NARU__SLOTS);
}

// Forgets everything that was put or claimed and not published.
static inline void naru_abandon(naru *m) {
  if (m->write == m->published) return;
  m->write = m->published;
  m->clear = 0;
  m->time_ms = 0;
  // It may have been among it; a second one does no harm.
  m->is_identity_done = false;
}

// Sends one message, if there is room.
static inline int naru_try_send(naru *m, const void *body, size_t size) {
  const int error = naru_put(m, body, size);
  if (error == NARU_OK || error == NARU_E_FULL) naru_publish(m);
  return error;
}

// Sends as many as there is room for, all at once. Returns how many; an error only when none.
static inline int naru_send_many(naru *m, const naru_body *bodies, int count) {
  int done = 0, error = NARU_OK;
  while (done < count && (error = naru_put(m, bodies[done].body, bodies[done].size)) == NARU_OK) done++;
  naru_publish(m);
  return done > 0 ? done : error;
}

static inline bool naru__has_room(naru *m) {
  if (!naru__may_send(m)) return true;
  return m->units - (m->write - atomic_load(&m->lane_words[NARU__L_HEAD / 4])) >= m->need;
}
// Waits for room for the message that found none. Timeout in milliseconds; below 0 for ever.
static inline int naru_wait_room(naru *m, int timeout_ms) {
  if (m->gone != 0) return m->gone;
  naru_publish(m);
  return naru__wait(m, NARU__WANT_ROOM, naru__has_room, timeout_ms);
}

static inline int naru__ms_left(int64_t deadline) {
  if (deadline == INT64_MAX) return -1;
  const int64_t left = (deadline - naru__now_ns(CLOCK_MONOTONIC) + 999999) / 1000000;
  return left < 0 ? 0 : (int)left;
}
static inline int64_t naru__deadline(int timeout_ms) {
  return timeout_ms < 0 ? INT64_MAX : naru__now_ns(CLOCK_MONOTONIC) + (int64_t)timeout_ms * 1000000;
}

// Sends one message, waiting for room. Timeout in milliseconds; below 0 for ever.
static inline int naru_send(naru *m, const void *body, size_t size, int timeout_ms) {
  int error = naru_try_send(m, body, size);
  if (error != NARU_E_FULL) return error;
  const int64_t deadline = naru__deadline(timeout_ms);
  while (error == NARU_E_FULL) {
    error = naru_wait_room(m, naru__ms_left(deadline));
    if (error == NARU_OK) error = naru_try_send(m, body, size);
  }
  return error;
}

// Says for all producers that no more messages come; consumers finish what is there.
static inline int naru_end(naru *m) {
  const int closed = naru__closed(m);
  if (closed != 0) return closed;
  naru_publish(m);
  atomic_store(naru__h(m, NARU__H_ENDED), 1);
  atomic_fetch_add(naru__h(m, NARU__H_MEMBERSHIP), 1);
  naru__ring_all(m);
  return NARU_OK;
}

// ---- Consuming -----------------------------------------------------------------------------------------------------------

static inline void naru__open_lane(naru *m, uint32_t index) {
  naru__lane *lane = &m->lanes[index];
  memset(lane, 0, sizeof *lane);
  lane->is_open = true;
  lane->index = index;
  lane->entry = (uint8_t *)naru__l(m, index, 0);
  lane->record_words = naru__record(m, index, 0);
  lane->is_faulted = atomic_load(naru__l(m, index, NARU__L_FAULT)) != 0;
  if (m->is_competing) {
    lane->version = atomic_load(naru__l(m, index, NARU__L_TAKEN_VERSION)) - 1;
    return;
  }
  const uint32_t head = atomic_load(naru__l(m, index, NARU__L_HEAD));
  lane->read = lane->tail = lane->first = lane->head = head;
  lane->taken = lane->recover_until = atomic_load(naru__l(m, index, NARU__L_TAKEN));
  lane->is_recovering = lane->recover_until != head;
  naru__copy_text(lane->sender, naru__l(m, index, NARU__L_IDENTITY), atomic_load(naru__l(m, index, NARU__L_IDENTITY_BYTES)));
}

// The lane is out of use for good; its producer may be waiting for room that never comes.
__attribute__((cold)) static inline void naru__fault(naru *m, naru__lane *lane, const char *what) {
  if (lane->is_faulted) return;
  lane->is_faulted = true;
  atomic_store(naru__l(m, lane->index, NARU__L_FAULT), 1);
  naru__fail(m, NARU_E_CORRUPT, "%s: lane %u holds a damaged record at position %u: %s", m->folder, lane->index, lane->read, what);
  const uint32_t slot = naru__slot_of(atomic_load(naru__l(m, lane->index, NARU__L_OWNER)));
  if (slot != NARU__SLOTS) naru__ring(m, slot, NARU__WANT_ROOM);
}

static inline naru__word *naru__lane_record(const naru *m, const naru__lane *lane, uint32_t position) {
  return lane->record_words + (size_t)(position & (m->units - 1)) * 2;
}

// Rings the producer of a lane that sleeps for want of room, once it is worth it.
static inline void naru__room_made(naru *m, naru__lane *lane, bool at_once) {
  const uint32_t slot = naru__slot_of(atomic_load(naru__l(m, lane->index, NARU__L_OWNER)));
  lane->is_room_untold = false;
  if (slot == NARU__SLOTS || !naru__sleeps_for(m, slot, NARU__WANT_ROOM)) return;
  const uint32_t head = atomic_load(naru__l(m, lane->index, NARU__L_HEAD));
  const uint32_t used = atomic_load(naru__l(m, lane->index, NARU__L_TAIL)) - head;
  if (at_once || used <= m->units / 2) naru__ring(m, slot, NARU__WANT_ROOM);
  else lane->is_room_untold = true;
}

// Wakes producers that wait for room. Receiving does it by itself when nothing is left; call it before something else takes
// long.
static inline void naru_flush(naru *m) {
  if (m->gone != 0) return;
  for (uint32_t i = 0; i < m->producers; i++)
    if (m->lanes[i].is_room_untold) naru__room_made(m, &m->lanes[i], true);
}

// Who sent a message: "<pid>.<start>.<thread>/<handle>". The text stays until the next receive.
static inline const char *naru_sender(const naru *m, const naru_message *message) {
  const uint32_t lane = message->naru__lane;
  if (lane >= m->producers) return "";
  return (message->naru__flags & NARU__RETURNED) != 0 ? m->lanes[lane].again : m->lanes[lane].sender;
}
static inline const uint8_t *naru__envelope(const naru_message *message) {
  // With headers their length stands before them.
  const uint32_t fields = message->naru__fields_size;
  return (const uint8_t *)message->body - NARU__PREFIX - (fields == NARU__NO_FIELDS ? 0 : fields + 4);
}
// Counts the sender's messages from 1.
static inline uint32_t naru_sequence(const naru_message *message) {
  uint32_t sequence;
  memcpy(&sequence, naru__envelope(message) + 4, sizeof sequence);
  return sequence;
}
// When it was sent, in milliseconds since the epoch; by a program in C, the last tick of its kernel before that (1 to 4 ms).
static inline double naru_time_ms(const naru_message *message) {
  double time_ms;
  memcpy(&time_ms, naru__envelope(message) + 8, sizeof time_ms);
  return time_ms;
}
// A field of a message's headers; false when it has none of this tag, or they cannot be read. Tags: 1 id, 2 contentType,
// 3 correlationId, 4 replyTo, 5 key, 6 type (text, not terminated); 7 priority (int32), 8 ttlMs, 9 delayMs (double).
static inline bool naru_field(const naru_message *message, unsigned tag, const uint8_t **value, uint32_t *size) {
  const uint32_t all = message->naru__fields_size;
  if (all == NARU__NO_FIELDS) return false;
  const uint8_t *fields = (const uint8_t *)message->body - all;
  for (uint32_t at = 0; all - at >= NARU__FIELD_PREFIX;) {
    uint32_t length;
    memcpy(&length, fields + at + 1, sizeof length);
    const unsigned found = fields[at];
    at += NARU__FIELD_PREFIX;
    if (length > all - at) return false;
    if (found == tag) {
      *value = fields + at;
      *size = length;
      return true;
    }
    at += length;
  }
  return false;
}
__attribute__((cold)) static inline bool naru__is_expired(const naru_message *message) {
  const uint8_t *value = NULL;
  uint32_t size = 0;
  double ttl_ms;
  if (!naru_field(message, NARU__FIELD_TTL, &value, &size) || size != sizeof ttl_ms) return false;
  memcpy(&ttl_ms, value, sizeof ttl_ms);
  return ttl_ms >= 0 && naru_time_ms(message) + ttl_ms <= (double)(naru__now_ns(CLOCK_REALTIME) / 1000000);
}

// Reads the envelope of a record whose length was checked; every number is read once. False: nobody will receive it.
static inline bool naru__decode(naru_message *out, naru__word *record, uint32_t length, uint32_t flags) {
  const uint8_t *payload = (const uint8_t *)(record + 2);
  const uint32_t start = naru__plain(record + 2);
  uint32_t before = NARU__PREFIX;
  out->naru__fields_size = NARU__NO_FIELDS;
  if (length < NARU__PREFIX) return false;
  if (start != NARU__ENVELOPE) {
    if (start != (NARU__ENVELOPE | NARU__HAS_FIELDS) || length < NARU__PREFIX + 4) return false;
    out->naru__fields_size = naru__plain(record + 2 + NARU__PREFIX / 4);
    if (out->naru__fields_size > length - NARU__PREFIX - 4) return false;
    before += 4 + out->naru__fields_size;
  }
  out->body = payload + before;
  out->size = length - before;
  return (flags & NARU__TTL) == 0 || !naru__is_expired(out);
}

// The next record that is a message, checked; padding is passed. 0 = none, 1 = a message, 2 = an identity record, -1 = damaged.
static inline int naru__next(naru *m, naru__lane *lane, uint32_t *length, uint32_t *flags, uint32_t *units) {
  for (;;) {
    if (lane->read == lane->tail) {
      // SYNC: publish/consume.
      lane->tail = atomic_load_explicit(naru__word_at(lane->entry, NARU__L_TAIL), memory_order_acquire);
      if (lane->read == lane->tail) return 0;
      if (!naru__is_span(m, lane->read, lane->tail)) {
        naru__fault(m, lane, "the tail is impossible");
        return -1;
      }
    }
    naru__word *record = naru__lane_record(m, lane, lane->read);
    *length = naru__plain(record);
    *flags = naru__plain(record + 1);
    const uint32_t until_end = m->units - (lane->read & (m->units - 1)), left = lane->tail - lane->read;
    const uint32_t kind = *flags & NARU__KIND;
    if (__builtin_expect(kind == NARU__MESSAGE, 1)) {
      *units = m->slot_units != 0 ? m->slot_units : naru__units_of(*length);
      if (*length <= m->max_payload && *units <= left && *units <= until_end) return 1;
      naru__fault(m, lane, "it ends beyond the tail or the lane");
      return -1;
    }
    if (kind == NARU__PADDING && *length == until_end * 8 - 8 && until_end <= left) {
      lane->read += until_end;
      continue;
    }
    *units = naru__units_of(*length);
    if (kind == NARU__IDENTITY_RECORD && *length <= NARU__IDENTITY_MAX && *units <= left && *units <= until_end) return 2;
    naru__fault(m, lane, kind == NARU__PADDING ? "padding must reach the end of its lane" : "its kind is unknown");
    return -1;
  }
}

static inline void naru__settle_exclusive(const naru *m, naru__lane *lane, uint32_t start, uint32_t end) {
  lane->unsettled -= 1;
  if (lane->unsettled == 0 && lane->marks == 0) {
    // Whatever lies before `read` is settled, padding included.
    lane->first = lane->read;
    lane->is_scattered = false;
  } else if (start == lane->first) {
    lane->first = end;
  } else {
    atomic_fetch_or(naru__lane_record(m, lane, start) + 1, NARU__SETTLED);
    lane->is_scattered = true;
  }
}
static inline bool naru__commit_exclusive(naru *m, naru__lane *lane) {
  while ((lane->is_scattered || lane->marks > 0) && lane->first != lane->read) {
    naru__word *record = naru__lane_record(m, lane, lane->first);
    const uint32_t length = naru__plain(record), flags = naru__plain(record + 1);
    if (naru__is_message(flags) && (flags & NARU__SETTLED) == 0) break;
    const uint32_t units = naru__step(m, lane->first, length, flags, lane->read - lane->first);
    if (units == 0) {
      naru__fault(m, lane, "it was changed after it had been read");
      return false;
    }
    if ((flags & NARU__KIND) == NARU__IDENTITY_RECORD) {
      naru__pass_head(m, lane->index, lane->first);
      if (lane->marks > 0) lane->marks -= 1;
    }
    lane->first += units;
  }
  if (lane->first == lane->read) lane->is_scattered = false;
  if (lane->first == lane->head) return false;
  lane->head = lane->first;
  // SYNC: room.
  atomic_store(naru__word_at(lane->entry, NARU__L_HEAD), lane->head);
  return true;
}

// Marks that receipts were earned, and says for whom a bell is to be rung.
static inline void naru__give_receipts(naru *m, naru__lane *lane, const naru_message *messages, int count) {
  bool is_news = false;
  for (int i = 0; i < count; i++)
    if ((messages[i].naru__flags & NARU__RECEIPT) != 0)
      is_news = (atomic_fetch_or(naru__lane_record(m, lane, messages[i].naru__start) + 1, NARU__RECEIVED) &
                 NARU__RECEIVED) == 0 || is_news;
  const uint32_t slot = naru__slot_of(atomic_load(naru__l(m, lane->index, NARU__L_OWNER)));
  if (is_news && slot != NARU__SLOTS) naru__ring(m, slot, NARU__WANT_RECEIPTS);
}
// A message that nobody receives: its producer, if it waits for a receipt, must not be told that somebody did.
__attribute__((cold)) static inline uint32_t naru__doom(naru *m, naru__lane *lane, uint32_t flags) {
  m->dropped += 1;
  lane->is_room_untold = true;
  return (flags & NARU__RECEIPT) != 0 ? NARU__DROPPED | NARU__SETTLED : NARU__SETTLED;
}
static inline void naru__place(naru_message *out, const naru__lane *lane, uint32_t start, uint32_t end, uint32_t flags,
                               uint32_t deliveries) {
  out->deliveries = deliveries;
  out->naru__lane = lane->index;
  out->naru__start = start;
  out->naru__end = end;
  out->naru__flags = flags;
}

// The common case at full speed: plain messages up to the tail or the end of the lane. Whatever is anything else is left to
// the caller.
static inline int naru__take_plain(const naru *m, naru__lane *lane, naru_message *out, int max, uint32_t *receipts) {
  const uint32_t mask = m->units - 1, slot_units = m->slot_units, max_body = m->max_payload - NARU__PREFIX;
  const uint32_t index = lane->index, until_end = m->units - (lane->read & mask), all = lane->tail - lane->read;
  naru__word *const words = lane->record_words;
  uint32_t read = lane->read, left = all < until_end ? all : until_end, seen = 0;
  int count = 0;
  while (count < max && left > 0) {
    naru__word *record = words + (size_t)(read & mask) * 2;
    // Where the next record is, only this one's length tells: without a hint each cache line is waited for in turn. Two lines, for the
    // ends of bodies.
    if (left > (NARU__AHEAD + NARU__LINE) / 8) {
      __builtin_prefetch((const uint8_t *)record + NARU__AHEAD);
      __builtin_prefetch((const uint8_t *)record + NARU__AHEAD + NARU__LINE);
    }
    const uint32_t length = naru__plain(record), flags = naru__plain(record + 1);
    const uint32_t units = slot_units != 0 ? slot_units : naru__units_of(length);
    if ((flags & (NARU__KIND | NARU__TTL)) != NARU__MESSAGE || length - NARU__PREFIX > max_body || units > left ||
        naru__plain(record + 2) != NARU__ENVELOPE)
      break;
    naru_message *message = &out[count++];
    message->body = record + 2 + NARU__PREFIX / 4;
    message->size = length - NARU__PREFIX;
    message->deliveries = 1;
    message->naru__lane = index;
    message->naru__start = read;
    message->naru__end = read += units;
    message->naru__flags = flags;
    message->naru__fields_size = NARU__NO_FIELDS;
    seen |= flags;
    left -= units;
  }
  lane->read = read;
  lane->unsettled += (uint32_t)count;
  *receipts |= seen & NARU__RECEIPT;
  return count;
}

// After a death the messages before `taken` are read again: it never moves back. Nothing is handed out before it is stored.
static inline void naru__hand_out(naru *m, naru__lane *lane, uint32_t end, const naru_message *messages, int count,
                                  uint32_t receipts) {
  if (naru__distance(end, lane->taken) > 0) {
    lane->taken = end;
    atomic_store_explicit(naru__word_at(lane->entry, NARU__L_TAKEN), end, memory_order_release);
  }
  if (__builtin_expect(receipts != 0, 0)) naru__give_receipts(m, lane, messages, count);
}

static inline int naru__take_exclusive(naru *m, naru__lane *lane, naru_message *out, int max) {
  int count = 0;
  uint32_t length, flags, units, receipts = 0, end = lane->taken;
  bool is_doomed = false;
  while (count < max) {
    if (!lane->is_recovering) {
      const int plain = naru__take_plain(m, lane, out + count, max - count, &receipts);
      if (plain > 0) end = lane->read;
      count += plain;
      if (count == max) break;
    }
    const int found = naru__next(m, lane, &length, &flags, &units);
    if (found <= 0) break;
    naru__word *record = naru__lane_record(m, lane, lane->read);
    const uint32_t start = lane->read;
    if (found == 2) {
      // `sender` belongs to the messages of this batch.
      if (count > 0) break;
      naru__copy_text(lane->sender, record + 2, length);
      lane->marks += 1;
      lane->read += units;
      continue;
    }
    uint32_t deliveries = 1;
    lane->read += units;
    lane->unsettled += 1;
    end = lane->read;
    if (__builtin_expect(lane->is_recovering, 0)) {
      lane->is_recovering = naru__distance(start, lane->recover_until) < 0;
      if (lane->is_recovering) {
        if ((flags & NARU__SETTLED) != 0) {
          naru__settle_exclusive(m, lane, start, end);
          is_doomed = true;
          continue;
        }
        const uint32_t before = (flags & NARU__COUNT_MASK) >> NARU__COUNT_SHIFT;
        deliveries = before + ((flags & NARU__RELEASED) != 0 ? 1 : 2);
        flags = (flags & ~(NARU__COUNT_MASK | NARU__RELEASED)) |
                (deliveries > 255 ? 255 : deliveries - 1) << NARU__COUNT_SHIFT;
        atomic_store(record + 1, flags);
      }
    }
    if (__builtin_expect(!naru__decode(&out[count], record, length, flags), 0)) {
      atomic_fetch_or(record + 1, naru__doom(m, lane, flags));
      naru__settle_exclusive(m, lane, start, end);
      is_doomed = true;
      continue;
    }
    naru__place(&out[count++], lane, start, end, flags, deliveries);
    receipts |= flags & NARU__RECEIPT;
  }
  naru__hand_out(m, lane, end, out, count, receipts);
  if (__builtin_expect(is_doomed, 0)) naru__commit_exclusive(m, lane);
  return count;
}

// Whether a competing consumer may find something. Not while somebody holds the lane, who will ring when there is more.
static inline bool naru__has_competing(const naru *m, const naru__lane *lane) {
  if (lane->is_faulted) return false;
  if (atomic_load(naru__l(m, lane->index, NARU__L_TAIL)) == atomic_load(naru__l(m, lane->index, NARU__L_TAKEN)) &&
      atomic_load(naru__l(m, lane->index, NARU__L_RETURNED)) == 0)
    return false;
  return atomic_load(naru__l(m, lane->index, NARU__L_HOLD)) == 0;
}
static inline bool naru__has_several(const naru *m) {
  const uint32_t mask = atomic_load(naru__h(m, NARU__H_CONSUMER_MASK));
  return (mask & (mask - 1)) != 0;
}
// Whoever came for the lane while it was held has gone to sleep.
static inline void naru__share_rest(naru *m, const naru__lane *lane) {
  if (naru__has_several(m) && naru__has_competing(m, lane)) naru__ring_consumers(m, m->slot);
}
static inline void naru__claim_record(naru *m, naru__lane *lane, naru__word *record, uint32_t flags, bool is_good) {
  const uint32_t owner = (m->slot + 1) << NARU__OWNER_SHIFT;
  if (is_good) lane->unsettled += 1;
  else flags |= naru__doom(m, lane, flags);
  // The store of `taken`, or of `hold`, comes after it and makes it seen.
  atomic_store_explicit(record + 1, flags | owner, memory_order_relaxed);
}

// Messages that went back, up to `max`. `is_left` says that some stay.
static inline int naru__take_returned(naru *m, naru__lane *lane, naru_message *out, int max, bool *is_left) {
  uint32_t position = atomic_load(naru__l(m, lane->index, NARU__L_HEAD));
  const uint32_t until = atomic_load(naru__l(m, lane->index, NARU__L_TAKEN));
  int count = 0;
  *is_left = false;
  if (!naru__is_span(m, position, until)) {
    naru__fault(m, lane, "what was taken is longer than the lane");
    return 0;
  }
  naru__copy_text(lane->again, naru__l(m, lane->index, NARU__L_IDENTITY),
                  atomic_load(naru__l(m, lane->index, NARU__L_IDENTITY_BYTES)));
  while (position != until) {
    naru__word *record = naru__lane_record(m, lane, position);
    const uint32_t length = naru__plain(record), flags = atomic_load(record + 1);
    const uint32_t units = naru__step(m, position, length, flags, until - position);
    if (units == 0) {
      naru__fault(m, lane, "the records before it make no sense");
      return count;
    }
    if ((flags & NARU__KIND) == NARU__IDENTITY_RECORD) {
      // `again` belongs to the messages of this batch.
      *is_left = count > 0;
      if (*is_left) return count;
      naru__copy_text(lane->again, record + 2, length);
    } else if (naru__is_message(flags) && (flags & NARU__RETURNED) != 0) {
      *is_left = count == max;
      if (*is_left) return count;
      const uint32_t own = flags & ~(NARU__OWNER_MASK | NARU__RETURNED);
      const uint32_t deliveries = ((flags & NARU__COUNT_MASK) >> NARU__COUNT_SHIFT) + 1;
      const bool is_good = length <= m->max_payload && naru__decode(&out[count], record, length, flags);
      naru__claim_record(m, lane, record, own, is_good);
      if (is_good) {
        // The flag says where its sender stands; see naru_sender().
        naru__place(&out[count++], lane, position, position + units, own | NARU__RETURNED, deliveries);
      }
    }
    position += units;
  }
  return count;
}

static inline int naru__take_competing(naru *m, naru__lane *lane, naru_message *out, int max) {
  const uint32_t index = lane->index;
  if (!naru__has_competing(m, lane) || !naru__try_hold(m, index, 0, m->mark)) return 0;
  const uint32_t version = atomic_load(naru__l(m, index, NARU__L_TAKEN_VERSION));
  uint32_t taken = atomic_load(naru__l(m, index, NARU__L_TAKEN));
  if (lane->read != taken || lane->version != version) {
    lane->read = lane->tail = taken;
    lane->version = version;
    naru__copy_text(lane->sender, naru__l(m, index, NARU__L_TAKEN_IDENTITY),
                    atomic_load(naru__l(m, index, NARU__L_TAKEN_BYTES)));
  }
  int count = 0;
  bool is_left = false;
  if (atomic_load(naru__l(m, index, NARU__L_RETURNED)) != 0) {
    atomic_store(naru__l(m, index, NARU__L_RETURNED), 0);
    count = naru__take_returned(m, lane, out, max, &is_left);
  }
  const int returned = count;
  uint32_t length, flags, units;
  for (int found; !is_left && !lane->is_faulted && count < max && (found = naru__next(m, lane, &length, &flags, &units)) > 0;) {
    naru__word *record = naru__lane_record(m, lane, lane->read);
    if (found == 2) {
      if (count > returned) break;
      // The new version first: who comes after a death in between reads the text anew, and then meets the record.
      lane->version += 1;
      atomic_store(naru__l(m, index, NARU__L_TAKEN_VERSION), lane->version);
      naru__pass_identity(m, index, NARU__L_TAKEN, NARU__L_TAKEN_BYTES, NARU__L_TAKEN_IDENTITY, lane->read);
      naru__copy_text(lane->sender, record + 2, length);
      taken = lane->read;
      lane->read += units;
      continue;
    }
    const uint32_t start = lane->read, own = flags & NARU__PRODUCER_BITS;
    lane->read += units;
    const bool is_good = naru__decode(&out[count], record, length, flags);
    naru__claim_record(m, lane, record, own, is_good);
    if (is_good) naru__place(&out[count++], lane, start, lane->read, own, 1);
  }
  if (lane->read != taken) atomic_store(naru__l(m, index, NARU__L_TAKEN), lane->read);
  if (is_left) atomic_store(naru__l(m, index, NARU__L_RETURNED), 1);
  if (naru__let_go(m, index, m->mark)) naru__room_made(m, lane, false);
  if (count > 0) naru__give_receipts(m, lane, out, count);
  naru__share_rest(m, lane);
  return count;
}

// Ended, and everything taken; of competing consumers none is done while another may still give something back.
static inline bool naru__is_ended(naru *m) {
  if (atomic_load(naru__h(m, NARU__H_ENDED)) == 0) return false;
  for (uint32_t used = naru__used_lanes(m); used != 0; used &= used - 1) {
    const uint32_t index = (uint32_t)__builtin_ctz(used);
    const naru__lane *lane = &m->lanes[index];
    const uint32_t tail = atomic_load(naru__l(m, index, NARU__L_TAIL));
    if (lane->is_open && lane->is_faulted) continue;
    if (m->is_competing ? tail != atomic_load(naru__l(m, index, NARU__L_HEAD)) : !lane->is_open || tail != lane->read)
      return false;
  }
  return m->again_count == 0;
}

__attribute__((cold)) static inline int naru__nothing(naru *m) {
  naru_flush(m);
  for (uint32_t i = 0; i < m->producers; i++)
    if (m->lanes[i].is_faulted && !m->lanes[i].is_fault_told) {
      m->lanes[i].is_fault_told = true;
      return naru__fail(m, NARU_E_CORRUPT, "%s: lane %u holds a damaged record at position %u; it is out of use, the others go on",
                        m->folder, i, m->lanes[i].read);
    }
  if (naru__is_ended(m)) return naru__fail(m, NARU_E_ENDED, "%s: it was ended, and everything is taken", m->folder);
  const int closed = naru__closed(m);
  if (closed != 0) return closed;
  naru__look_sometimes(m);
  // Who calls again at once would have looks under way already that the next news makes worthless.
  naru__relax();
  return NARU_E_EMPTY;
}

// What came back to an exclusive consumer, oldest first.
__attribute__((cold)) static inline int naru__take_again(naru *m, naru_message *out, int max) {
  uint32_t count = 0, lanes = 0;
  for (; count < m->again_count && count < (uint32_t)max; count++) {
    const naru__again *one = &m->again[count];
    naru__lane *lane = &m->lanes[one->message.naru__lane];
    const uint32_t bit = UINT32_C(1) << lane->index;
    // `again` belongs to the messages of this batch.
    if ((lanes & bit) != 0 && strcmp(lane->again, one->sender) != 0) break;
    lanes |= bit;
    memcpy(lane->again, one->sender, sizeof lane->again);
    out[count] = one->message;
    // The flag says where its sender stands; see naru_sender().
    out[count].naru__flags |= NARU__RETURNED;
    naru__word *flags = naru__lane_record(m, lane, one->message.naru__start) + 1;
    const uint32_t before = one->message.deliveries > 255 ? 255 : one->message.deliveries - 1;
    atomic_store(flags, (atomic_load(flags) & ~(NARU__COUNT_MASK | NARU__RELEASED)) | before << NARU__COUNT_SHIFT);
  }
  m->again_count -= count;
  memmove(m->again, m->again + count, m->again_count * sizeof *m->again);
  return (int)count;
}

// Takes up to `max` messages that are there. Returns how many, at least 1; NARU_E_EMPTY, NARU_E_ENDED, or another error.
// NARU_E_CORRUPT of a single lane comes once; the next call goes on with the others.
static inline int naru_receive_many(naru *m, naru_message *out, int max) {
  if ((m->role & NARU_CONSUMER) == 0 || max <= 0)
    return naru__fail(m, NARU_E_INVALID_ARGUMENT, "%s: not a consumer's handle, or room for no message", m->folder);
  if (m->gone != 0) return m->gone;
  if ((++m->calls & 1023) == 0) naru__look_sometimes(m);
  int count = m->again_count > 0 ? naru__take_again(m, out, max) : 0;
  const uint32_t used = naru__used_lanes(m), first = m->cursor % m->producers;
  m->cursor += 1;
  // From `first` on, then the rest.
  for (uint32_t half = 0; half < 2; half++)
    for (uint32_t some = used & (half == 0 ? UINT32_MAX << first : ~(UINT32_MAX << first)); some != 0 && count < max;
         some &= some - 1) {
      const uint32_t index = (uint32_t)__builtin_ctz(some);
      naru__lane *lane = &m->lanes[index];
      if (!lane->is_open) naru__open_lane(m, index);
      if (lane->is_faulted) continue;
      count += m->is_competing ? naru__take_competing(m, lane, out + count, max - count)
                               : naru__take_exclusive(m, lane, out + count, max - count);
    }
  return count > 0 ? count : naru__nothing(m);
}

static inline bool naru__has_news(naru *m) {
  if (m->gone != 0 || m->again_count > 0) return true;
  for (uint32_t used = naru__used_lanes(m); used != 0; used &= used - 1) {
    const uint32_t index = (uint32_t)__builtin_ctz(used);
    naru__lane *lane = &m->lanes[index];
    if (!lane->is_open) naru__open_lane(m, index);
    if (lane->is_faulted ? !lane->is_fault_told
                         : m->is_competing ? naru__has_competing(m, lane)
                                           : atomic_load(naru__l(m, index, NARU__L_TAIL)) != lane->read)
      return true;
  }
  return atomic_load(naru__h(m, NARU__H_CLOSED)) != 0 || naru__is_ended(m);
}

// The same, waiting until there is at least one. Timeout in milliseconds; below 0 for ever. Settle what you have before: what
// only you can settle is not waited for by anybody else.
static inline int naru_receive_batch(naru *m, naru_message *out, int max, int timeout_ms) {
  int count = naru_receive_many(m, out, max);
  if (count != NARU_E_EMPTY) return count;
  const int64_t deadline = naru__deadline(timeout_ms);
  while (count == NARU_E_EMPTY) {
    const int error = naru__wait(m, NARU__WANT_MESSAGES, naru__has_news, naru__ms_left(deadline));
    if (error != NARU_OK) {
      // Rung, perhaps, for a message that is not taken now: another consumer must hear of it.
      if (m->gone == 0 && m->is_competing)
        for (uint32_t i = 0; i < m->producers; i++)
          if (m->lanes[i].is_open) naru__share_rest(m, &m->lanes[i]);
      return error;
    }
    count = naru_receive_many(m, out, max);
  }
  return count;
}

// The common case at full speed: one plain message of the only lane there is, read by one consumer.
static inline bool naru__receive_plain(naru *m, naru_message *message) {
  naru__lane *lane = &m->lanes[0];
  if (m->producers != 1 || m->is_competing || !lane->is_open || lane->is_recovering || lane->is_faulted) return false;
  // Now and then naru_receive_many() looks around.
  if (m->gone != 0 || m->again_count > 0 || ((m->calls + 1) & 1023) == 0) return false;
  if (lane->read == lane->tail) {
    // SYNC: publish/consume.
    const uint32_t tail = atomic_load_explicit(naru__word_at(lane->entry, NARU__L_TAIL), memory_order_acquire);
    if (tail == lane->read || !naru__is_span(m, lane->read, tail)) return false;
    lane->tail = tail;
  }
  uint32_t receipts = 0;
  if (naru__take_plain(m, lane, message, 1, &receipts) == 0) return false;
  naru__hand_out(m, lane, lane->read, message, 1, receipts);
  m->calls += 1;
  return true;
}

// Takes one message that is there: NARU_OK, NARU_E_EMPTY, NARU_E_ENDED, or another error.
static inline int naru_try_receive(naru *m, naru_message *message) {
  if ((m->role & NARU_CONSUMER) != 0 && naru__receive_plain(m, message)) return NARU_OK;
  const int count = naru_receive_many(m, message, 1);
  return count > 0 ? NARU_OK : count;
}
// The same, waiting for it. Timeout in milliseconds; below 0 for ever.
static inline int naru_receive(naru *m, naru_message *message, int timeout_ms) {
  const int found = naru_try_receive(m, message);
  if (found != NARU_E_EMPTY) return found;
  const int count = naru_receive_batch(m, message, 1, timeout_ms);
  return count > 0 ? NARU_OK : count;
}

__attribute__((cold)) static inline bool naru__is_given_back(const naru *m, const naru_message *message) {
  for (uint32_t i = 0; i < m->again_count; i++)
    if (m->again[i].message.naru__lane == message->naru__lane && m->again[i].message.naru__start == message->naru__start)
      return true;
  return false;
}
// Whether a message is in this consumer's hands: taken, and not settled. Then its record cannot be written over.
static inline bool naru__is_mine(const naru *m, const naru_message *message) {
  if (message->naru__lane >= m->producers) return false;
  const naru__lane *lane = &m->lanes[message->naru__lane];
  if (!lane->is_open || lane->unsettled == 0) return false;
  const uint32_t start = message->naru__start;
  const uint32_t from = m->is_competing ? atomic_load(naru__word_at(lane->entry, NARU__L_HEAD)) : lane->first;
  if (naru__distance(start, from) < 0 || naru__distance(lane->read, start) <= 0) return false;
  if (m->again_count > 0 && naru__is_given_back(m, message)) return false;
  const uint32_t flags = naru__plain(naru__lane_record(m, lane, start) + 1);
  return (flags & NARU__SETTLED) == 0 &&
         (!m->is_competing || (flags & NARU__OWNER_MASK) == (m->slot + 1) << NARU__OWNER_SHIFT);
}
static inline void naru__commit(naru *m, naru__lane *lane) {
  bool is_moved;
  if (m->is_competing) {
    // SYNC: advance. What was flagged is seen by whoever holds the lane now and lets go after this.
    atomic_store(naru__p(m, m->slot, NARU__P_FENCE), 0);
    is_moved = naru__advance(m, lane->index, m->mark);
  } else is_moved = naru__commit_exclusive(m, lane);
  if (is_moved) naru__room_made(m, lane, false);
  if (m->is_competing) naru__share_rest(m, lane);
}

// The common case at full speed: messages in the order in which an exclusive lane handed them out. Returns how many.
static inline int naru__settle_run(naru *m, const naru_message *messages, int count) {
  naru__lane *lane = &m->lanes[messages[0].naru__lane];
  const uint32_t index = lane->index;
  if (lane->is_scattered || lane->marks > 0 || m->again_count > 0) return 0;
  uint32_t first = lane->first;
  int run = 0;
  // The last one of a lane is settled by the caller, who also passes what lies behind it.
  const int most = count < (int)lane->unsettled ? count : (int)lane->unsettled - 1;
  for (; run < most && messages[run].naru__start == first && messages[run].naru__lane == index; run++)
    first = messages[run].naru__end;
  lane->first = first;
  lane->unsettled -= (uint32_t)run;
  return run;
}

// Settles messages: they are done, and their memory is the producer's again. One store a lane for all of them.
// NARU_E_SETTLED when one was settled before; the others are settled all the same.
static inline int naru_ack_many(naru *m, const naru_message *messages, int count) {
  if (m->gone != 0) return m->gone;
  uint32_t touched = 0;
  int result = NARU_OK;
  for (int i = 0; i < count; i++) {
    const naru_message *message = &messages[i];
    if (__builtin_expect(!naru__is_mine(m, message), 0)) {
      result = naru__fail(m, NARU_E_SETTLED, "%s: message %d was settled before", m->folder, i);
      continue;
    }
    naru__lane *lane = &m->lanes[message->naru__lane];
    touched |= UINT32_C(1) << message->naru__lane;
    if (m->is_competing) {
      naru__word *flags = naru__lane_record(m, lane, message->naru__start) + 1;
      lane->unsettled -= 1;
      // Nobody else writes it; the fence comes in naru__commit().
      atomic_store_explicit(flags, naru__plain(flags) | NARU__SETTLED, memory_order_relaxed);
      continue;
    }
    const int run = naru__settle_run(m, message, count - i);
    if (run > 0) i += run - 1;
    else naru__settle_exclusive(m, lane, message->naru__start, message->naru__end);
  }
  for (; touched != 0; touched &= touched - 1) naru__commit(m, &m->lanes[__builtin_ctz(touched)]);
  if (m->is_competing && naru__plain(naru__h(m, NARU__H_ENDED)) != 0 && naru__is_ended(m)) naru__ring_all(m);
  return result;
}
static inline int naru_ack(naru *m, const naru_message *message) {
  naru__lane *lane = &m->lanes[message->naru__lane % NARU__LANES_MAX];
  // The common case at full speed: the only message in hand. It is the record at `first`, or was settled before.
  if (m->is_competing || m->gone != 0 || !lane->is_open || lane->unsettled != 1 || lane->marks > 0 || lane->is_scattered ||
      m->again_count > 0 || message->naru__lane >= m->producers || message->naru__start != lane->first)
    return naru_ack_many(m, message, 1);
  naru__settle_exclusive(m, lane, message->naru__start, message->naru__end);
  naru__commit(m, lane);
  return NARU_OK;
}

// Gives a message back: it is delivered again, marked as redelivered, where consumers compete to any of them.
static inline int naru_nack(naru *m, const naru_message *message) {
  if (m->gone != 0) return m->gone;
  if (!naru__is_mine(m, message)) return naru__fail(m, NARU_E_SETTLED, "%s: the message was settled before", m->folder);
  naru__lane *lane = &m->lanes[message->naru__lane];
  if (m->is_competing) {
    naru__word *flags = naru__lane_record(m, lane, message->naru__start) + 1;
    lane->unsettled -= 1;
    atomic_store(flags, naru__returned_flags(atomic_load(flags)));
    atomic_store(naru__l(m, lane->index, NARU__L_RETURNED), 1);
    naru__ring_consumers(m, m->slot);
    return NARU_OK;
  }
  if (m->again_count == m->again_room) {
    const uint32_t room = m->again_room == 0 ? 16 : m->again_room * 2;
    naru__again *more = realloc(m->again, room * sizeof *more);
    if (more == NULL) return naru__fail(m, NARU_E_LIMIT, "%s: no memory for a message that was given back", m->folder);
    m->again = more;
    m->again_room = room;
  }
  uint32_t at = m->again_count++;
  // In the order in which they were sent.
  for (; at > 0 && m->again[at - 1].message.naru__lane == message->naru__lane &&
         naru__distance(m->again[at - 1].message.naru__start, message->naru__start) > 0;
       at--)
    m->again[at] = m->again[at - 1];
  snprintf(m->again[at].sender, sizeof m->again[at].sender, "%s", naru_sender(m, message));
  m->again[at].message = *message;
  m->again[at].message.deliveries += 1;
  return NARU_OK;
}

// ---- Opening -------------------------------------------------------------------------------------------------------------

static inline uint32_t naru__align(uint32_t size) { return (size + NARU__PAGE - 1) & ~(uint32_t)(NARU__PAGE - 1); }
static inline uint32_t naru__cursors_at(uint32_t lanes) { return NARU__LANES_AT + lanes * NARU__LANE_STRIDE; }
static inline uint32_t naru__data_at(uint32_t lanes) {
  return naru__align(naru__cursors_at(lanes) + NARU__CONSUMERS_MAX * NARU__CURSOR_STRIDE);
}

// Checks every number in a header that another process wrote. 1 = its maker has not finished.
static inline int naru__check_header(naru *m, const uint8_t page[NARU__PAGE], uint64_t size) {
  uint32_t h[NARU__PAGE / 4];
  memcpy(h, page, NARU__PAGE);
#define NARU__FIELD(offset) h[(offset) / 4]
  if (NARU__FIELD(NARU__H_MAGIC) == 0 && NARU__FIELD(NARU__H_READY) == 0) return 1;
  if (NARU__FIELD(NARU__H_MAGIC) != NARU__MAGIC || NARU__FIELD(NARU__H_KIND) != NARU__RING)
    return naru__fail(m, NARU_E_CORRUPT, "%s/ring does not start with NARURING", m->folder);
  if (NARU__FIELD(NARU__H_BYTE_ORDER) != NARU__ORDER)
    return naru__fail(m, NARU_E_UNSUPPORTED, "%s/ring has the other byte order", m->folder);
  if (NARU__FIELD(NARU__H_MAJOR) != 2)
    return naru__fail(m, NARU_E_UNSUPPORTED, "%s/ring has layout version %u, this header knows 2", m->folder, NARU__FIELD(NARU__H_MAJOR));
  if (NARU__FIELD(NARU__H_FEATURES) != 0)
    return naru__fail(m, NARU_E_UNSUPPORTED, "%s/ring needs features 0x%x", m->folder, NARU__FIELD(NARU__H_FEATURES));
  if (NARU__FIELD(NARU__H_READY) != NARU__READY) return 1;
  const uint32_t relation = NARU__FIELD(NARU__H_RELATION), deliver = NARU__FIELD(NARU__H_DELIVER);
  const uint32_t levels = NARU__FIELD(NARU__H_LEVELS), lane_bytes = NARU__FIELD(NARU__H_LANE_BYTES);
  const uint32_t slot_bytes = NARU__FIELD(NARU__H_SLOT_BYTES), max_message = NARU__FIELD(NARU__H_MAX_MESSAGE);
  m->owner = NARU__FIELD(NARU__H_OWNER);
  if (relation < 1 || relation > 4 || deliver < 1 || deliver > 2 || m->owner < 1 || m->owner > 3 || levels < 1 ||
      levels > NARU__LEVELS_MAX || NARU__FIELD(NARU__H_RETAIN) > NARU__RETAIN_MAX ||
      (deliver == 2 ? levels > 1 : NARU__FIELD(NARU__H_LOSSY) != 0))
    return naru__fail(m, NARU_E_CORRUPT, "%s/ring: relation, deliver, owner, levels, retain or lossy is impossible", m->folder);
  if (lane_bytes < 4096 || (lane_bytes & (lane_bytes - 1)) != 0 || lane_bytes > NARU__FILE_MAX)
    return naru__fail(m, NARU_E_CORRUPT, "%s/ring: a lane of %u bytes is impossible", m->folder, lane_bytes);
  m->producers = relation == NARU_1_TO_1 || relation == NARU_1_TO_N ? 1 : NARU__LANES_MAX;
  m->consumers = relation == NARU_1_TO_1 || relation == NARU_N_TO_1 ? 1 : NARU__CONSUMERS_MAX;
  const uint32_t lanes = m->producers * levels;
  const uint64_t file_bytes = naru__data_at(lanes) + (uint64_t)lanes * lane_bytes;
  const struct {
    uint32_t offset, value;
  } expected[] = {
      {NARU__H_SLOTS_AT, NARU__PAGE},          {NARU__H_SLOT_STRIDE, NARU__SLOT_STRIDE},
      {NARU__H_SLOTS, NARU__SLOTS},            {NARU__H_LANES_AT, NARU__LANES_AT},
      {NARU__H_LANE_STRIDE, NARU__LANE_STRIDE}, {NARU__H_LANES, lanes},
      {NARU__H_DATA_AT, naru__data_at(lanes)}, {NARU__H_PRODUCERS, m->producers},
      {NARU__H_CONSUMERS_MAX, m->consumers},   {NARU__H_CURSORS_AT, naru__cursors_at(lanes)},
      {NARU__H_CURSOR_STRIDE, NARU__CURSOR_STRIDE},
  };
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    if (NARU__FIELD(expected[i].offset) != expected[i].value)
      return naru__fail(m, NARU_E_CORRUPT, "%s/ring: the header's word at %u is %u, should be %u", m->folder,
                        expected[i].offset, NARU__FIELD(expected[i].offset), expected[i].value);
  if (file_bytes > NARU__FILE_MAX || file_bytes != size || NARU__FIELD(NARU__H_FILE_BYTES) != size)
    return naru__fail(m, NARU_E_CORRUPT, "%s/ring has %llu bytes, should have %llu", m->folder, (unsigned long long)size,
                      (unsigned long long)file_bytes);
  if (max_message > lane_bytes / 8 || slot_bytes > lane_bytes / 4 - 8)
    return naru__fail(m, NARU_E_CORRUPT, "%s/ring: messages of %u bytes do not fit lanes of %u", m->folder, max_message, lane_bytes);
  if (deliver != 1) return naru__fail(m, NARU_E_UNSUPPORTED, "%s is a topic, which naru_ring.h does not know", m->folder);
  if (levels != 1)
    return naru__fail(m, NARU_E_UNSUPPORTED, "%s has %u priorities, of which naru_ring.h knows one", m->folder, levels);
#undef NARU__FIELD
  m->is_competing = m->consumers > 1;
  m->file_bytes = (size_t)size;
  m->lane_bytes = lane_bytes;
  m->units = lane_bytes / 8;
  m->data_at = naru__data_at(lanes);
  m->slot_units = slot_bytes == 0 ? 0 : naru__units_of(slot_bytes);
  m->max_payload = slot_bytes == 0 ? lane_bytes / 4 - 8 : m->slot_units * 8 - 8;
  const uint32_t room = slot_bytes == 0 ? max_message + NARU__PREFIX : slot_bytes;
  m->max_body_bytes = room < NARU__PREFIX ? 0 : (room < m->max_payload ? room : m->max_payload) - NARU__PREFIX;
  if (room < NARU__PREFIX) return naru__fail(m, NARU_E_CORRUPT, "%s/ring: no message fits slots of %u bytes", m->folder, slot_bytes);
  return NARU_OK;
}

static inline int naru__map(naru *m) {
  m->base = mmap(NULL, m->file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->ring_fd, 0);
  if (m->base != MAP_FAILED) return NARU_OK;
  m->base = NULL;
  return naru__system(m, "mapping it");
}

// Opens and maps the object after every check. 1 = there is none, or only what its maker left when it died.
static inline int naru__open_object(naru *m) {
  struct stat status;
  uint8_t page[NARU__PAGE];
  m->ring_fd = openat(m->folder_fd, "ring", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (m->ring_fd < 0) return errno == ENOENT ? 1 : naru__system(m, "opening ring");
  if (fstat(m->ring_fd, &status) != 0) return naru__system(m, "looking at ring");
  if (!S_ISREG(status.st_mode) || status.st_uid != getuid() || (status.st_mode & 077) != 0 || status.st_nlink > 1)
    return naru__fail(m, NARU_E_DENIED, "%s/ring is not used: it is no file of yours alone", m->folder);
  m->inode = status.st_ino;
  if (status.st_size == 0) return 1;
  if (status.st_size < NARU__PAGE || pread(m->ring_fd, page, NARU__PAGE, 0) != NARU__PAGE)
    return naru__fail(m, NARU_E_CORRUPT, "%s/ring has %lld bytes: it was truncated", m->folder, (long long)status.st_size);
  const int error = naru__check_header(m, page, (uint64_t)status.st_size);
  return error != 0 ? error : naru__map(m);
}

static inline int naru__create_object(naru *m, const naru_shape *shape) {
  const uint32_t relation = shape->relation, lane_bytes = shape->lane_bytes == 0 ? 1u << 20 : shape->lane_bytes;
  if (relation < 1 || relation > 4 || shape->owner < 1 || shape->owner > 3 || lane_bytes < 4096 ||
      (lane_bytes & (lane_bytes - 1)) != 0)
    return naru__fail(m, NARU_E_INVALID_ARGUMENT, "%s: an impossible shape", m->folder);
  const uint32_t lanes = relation == NARU_1_TO_1 || relation == NARU_1_TO_N ? 1 : NARU__LANES_MAX;
  const uint32_t consumers = relation == NARU_1_TO_1 || relation == NARU_N_TO_1 ? 1 : NARU__CONSUMERS_MAX;
  const uint64_t file_bytes = naru__data_at(lanes) + (uint64_t)lanes * lane_bytes;
  if (file_bytes > NARU__FILE_MAX) return naru__fail(m, NARU_E_LIMIT, "%s: too large", m->folder);
  struct stat status;
  m->ring_fd = openat(m->folder_fd, "ring", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (m->ring_fd < 0 || fchmod(m->ring_fd, 0600) != 0 || ftruncate(m->ring_fd, (off_t)file_bytes) != 0 ||
      fallocate(m->ring_fd, 0, 0, naru__data_at(lanes)) != 0 || fstat(m->ring_fd, &status) != 0)
    return naru__system(m, "making ring");
  const uint32_t fields[][2] = {
      {NARU__H_MAGIC, NARU__MAGIC},
      {NARU__H_KIND, NARU__RING},
      {NARU__H_BYTE_ORDER, NARU__ORDER},
      {NARU__H_MAJOR, 2},
      {NARU__H_FILE_BYTES, (uint32_t)file_bytes},
      {NARU__H_SLOTS_AT, NARU__PAGE},
      {NARU__H_SLOT_STRIDE, NARU__SLOT_STRIDE},
      {NARU__H_SLOTS, NARU__SLOTS},
      {NARU__H_LANES_AT, NARU__LANES_AT},
      {NARU__H_LANE_STRIDE, NARU__LANE_STRIDE},
      {NARU__H_LANES, lanes},
      {NARU__H_DATA_AT, naru__data_at(lanes)},
      {NARU__H_LANE_BYTES, lane_bytes},
      {NARU__H_MAX_MESSAGE, lane_bytes / 8},
      {NARU__H_RELATION, relation},
      {NARU__H_OWNER, shape->owner},
      {NARU__H_PRODUCERS, lanes},
      {NARU__H_CONSUMERS_MAX, consumers},
      {NARU__H_DELIVER, 1},
      {NARU__H_LEVELS, 1},
      {NARU__H_CURSORS_AT, naru__cursors_at(lanes)},
      {NARU__H_CURSOR_STRIDE, NARU__CURSOR_STRIDE},
      // For the check that follows; it is taken away again until everything is in place.
      {NARU__H_READY, NARU__READY},
  };
  uint8_t page[NARU__PAGE] = {0};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) memcpy(page + fields[i][0], &fields[i][1], 4);
  const double created = (double)(naru__now_ns(CLOCK_REALTIME) / 1000000);
  memcpy(page + NARU__H_CREATED, &created, sizeof created);
  int error = naru__check_header(m, page, file_bytes);
  if (error == NARU_OK) error = naru__map(m);
  if (error != NARU_OK) return error;
  m->inode = status.st_ino;
  memcpy(m->base, page, NARU__H_READY);
  return NARU_OK;
}

static inline int naru__take_slot(naru *m) {
  uint32_t slot = 0;
  while (slot < NARU__SLOTS && atomic_load(naru__p(m, slot, NARU__P_STATE)) != NARU__FREE) slot++;
  if (slot == NARU__SLOTS) return naru__fail(m, NARU_E_LIMIT, "%s: all %d handles are in use", m->folder, NARU__SLOTS);
  char name[8];
  naru__bell_name(name, slot);
  unlinkat(m->folder_fd, name, 0);
  if (mkfifoat(m->folder_fd, name, 0600) != 0) return naru__system(m, "making its FIFO");
  m->fifo_fd = openat(m->folder_fd, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (m->fifo_fd < 0) return naru__system(m, "opening its FIFO");
  // A prober holds a new FIFO's lock for an instant.
  int attempts = 0;
  while (flock(m->fifo_fd, LOCK_EX | LOCK_NB) != 0) {
    if (++attempts == 10000) return naru__system(m, "locking its FIFO");
    sched_yield();
  }
  uint64_t start = 0;
  const uint32_t pid = (uint32_t)getpid(), thread = (uint32_t)syscall(SYS_gettid);
  const uint32_t handle = atomic_fetch_add(&naru__handles, 1) + 1;
  naru__process_start(pid, &start);
  snprintf(m->identity, sizeof m->identity, "%u.%llu.%u/%u", pid, (unsigned long long)start, thread, handle);
  // The slot's last owner may have rung-marks of slow ringers under way: its epochs are never used again.
  m->slot = slot;
  m->epoch = atomic_load(naru__p(m, slot, NARU__P_BELL)) >> 2;
  atomic_store(naru__p(m, slot, NARU__P_WANTS), 0);
  naru__wake(m);
  const uint32_t generation = (atomic_load(naru__p(m, slot, NARU__P_GENERATION)) + 1) & 0xffffff;
  atomic_store(naru__p(m, slot, NARU__P_GENERATION), generation);
  atomic_store(naru__p(m, slot, NARU__P_PID), pid);
  atomic_store(naru__p(m, slot, NARU__P_START_LOW), (uint32_t)start);
  atomic_store(naru__p(m, slot, NARU__P_START_HIGH), (uint32_t)(start >> 32));
  atomic_store(naru__p(m, slot, NARU__P_THREAD), thread);
  atomic_store(naru__p(m, slot, NARU__P_HANDLE), handle);
  atomic_store(naru__p(m, slot, NARU__P_STATE), NARU__TAKEN);
  m->mark = generation << 8 | (slot + 1);
  return NARU_OK;
}

// A seat whose lane holds unread messages comes before an empty one while half of the lane is free; a damaged one never.
static inline int naru__choose_seat(const naru *m) {
  int empty = -1, roomiest = -1;
  uint32_t least = m->units + 1;
  for (uint32_t seat = 0; seat < m->producers; seat++) {
    if (atomic_load(naru__l(m, seat, NARU__L_OWNER)) != 0 || atomic_load(naru__l(m, seat, NARU__L_FAULT)) != 0) continue;
    const uint32_t used = atomic_load(naru__l(m, seat, NARU__L_TAIL)) - atomic_load(naru__l(m, seat, NARU__L_HEAD));
    if (used > m->units) continue;
    if (used > 0 && used <= m->units / 2) return (int)seat;
    if (used == 0 && empty < 0) empty = (int)seat;
    if (used < least) {
      least = used;
      roomiest = (int)seat;
    }
  }
  return empty >= 0 ? empty : roomiest;
}
static inline int naru__take_producer_seat(naru *m) {
  const int seat = naru__choose_seat(m);
  if (seat < 0) return naru__fail(m, NARU_E_LIMIT, "%s: there is no free producer's seat", m->folder);
  m->seat = (uint32_t)seat;
  const off_t at = (off_t)m->data_at + (off_t)m->seat * m->lane_bytes;
  // A full file system is an error here, and never a SIGBUS later.
  if (fallocate(m->ring_fd, 0, at, m->lane_bytes) != 0) return naru__system(m, "giving a lane its memory");
  atomic_fetch_or(naru__h(m, NARU__H_LEVEL_LANES), UINT32_C(1) << m->seat);
  atomic_store(naru__l(m, m->seat, NARU__L_OWNER), m->mark);
  m->lane_words = naru__l(m, m->seat, 0);
  m->data = m->base + at;
  m->write = m->published = atomic_load(naru__l(m, m->seat, NARU__L_TAIL));
  m->head = atomic_load(naru__l(m, m->seat, NARU__L_HEAD));
  return NARU_OK;
}
static inline int naru__take_consumer_seat(naru *m) {
  uint32_t seat = 0;
  while (seat < m->consumers && atomic_load(naru__h(m, NARU__H_CONSUMERS + 4 * seat)) != 0) seat++;
  if (seat == m->consumers) return naru__fail(m, NARU_E_LIMIT, "%s: there is no free consumer's seat", m->folder);
  atomic_store(naru__h(m, NARU__H_CONSUMERS + 4 * seat), m->mark);
  atomic_fetch_or(naru__h(m, NARU__H_CONSUMER_MASK), UINT32_C(1) << seat);
  return NARU_OK;
}

// Everything that is open or mapped; no word of the shared memory is touched.
static inline void naru__release(naru *m) {
  for (uint32_t slot = 0; slot < NARU__SLOTS; slot++)
    if (m->bells[slot].fd >= 0) close(m->bells[slot].fd);
  // With it goes the proof of life.
  if (m->fifo_fd >= 0) close(m->fifo_fd);
  if (m->base != NULL) munmap(m->base, m->file_bytes);
  if (m->ring_fd >= 0) close(m->ring_fd);
  if (m->folder_fd >= 0) close(m->folder_fd);
  free(m->again);
  m->base = NULL;
  m->again = NULL;
  m->fifo_fd = m->ring_fd = m->folder_fd = -1;
  m->role = 0;
  if (m->gone == 0) m->gone = NARU_E_CLOSED;
}

// Under the lock. With the last user, or the owner, the mailbox goes.
static inline void naru__leave(naru *m) {
  if (!naru__is_in_place(m)) return;
  naru__creator_left(m, m->slot, 1);
  if (m->is_competing)
    for (uint32_t i = 0; i < m->producers; i++)
      if (m->lanes[i].unsettled > 0) naru__return_all(m, i, m->slot);
  naru__vacate(m, m->slot, &m->mark, 1);
  naru__recover(m);
  const bool is_over = atomic_load(naru__h(m, NARU__H_CLOSED)) != 0 || naru__is_abandoned(m);
  if (is_over) naru__close_for(m, 1);
  naru__ring_all(m);
  if (is_over) naru__remove_folder(m);
}

static inline int naru__join(naru *m, unsigned role, const naru_shape *shape) {
  int found = naru__open_object(m);
  if (found < 0) return found;
  bool is_new = false;
  if (found == NARU_OK) {
    naru__recover(m);
    if (atomic_load(naru__h(m, NARU__H_CLOSED)) != 0 || naru__is_abandoned(m)) found = 1;
  }
  if (found == 1) {
    // Nobody who could use it lives any more, and whoever made it half is dead: the lock is ours.
    if (m->base != NULL) munmap(m->base, m->file_bytes);
    if (m->ring_fd >= 0) close(m->ring_fd);
    m->base = NULL;
    m->ring_fd = -1;
    if (shape == NULL) {
      naru__remove_folder(m);
      return naru__fail(m, NARU_E_NOT_FOUND, "%s does not exist", m->folder);
    }
    unlinkat(m->folder_fd, "ring", 0);
    naru__remove_bells(m);
    const int error = naru__create_object(m, shape);
    if (error != NARU_OK) {
      naru__remove_folder(m);
      return error;
    }
    is_new = true;
  } else if (shape != NULL) {
    const uint32_t relation = atomic_load(naru__h(m, NARU__H_RELATION));
    if (relation != shape->relation || m->owner != shape->owner)
      return naru__fail(m, NARU_E_EXISTS, "%s exists with relation %u and owner %u", m->folder, relation, m->owner);
  }
  int error = naru__take_slot(m);
  if (error != NARU_OK) {
    if (is_new) naru__remove_folder(m);
    return error;
  }
  if (is_new) {
    atomic_store(naru__h(m, NARU__H_CREATOR), m->mark);
    atomic_store(naru__h(m, NARU__H_READY), NARU__READY);
  }
  if ((role & NARU_PRODUCER) != 0) error = naru__take_producer_seat(m);
  if (error == NARU_OK && (role & NARU_CONSUMER) != 0) error = naru__take_consumer_seat(m);
  if (error != NARU_OK) {
    naru__leave(m);
    return error;
  }
  m->role = role;
  atomic_fetch_add(naru__h(m, NARU__H_MEMBERSHIP), 1);
  naru__ring_all(m);
  return NARU_OK;
}

static inline bool naru__is_name(const char *name) {
  const char *plain = name[0] == '~' ? name + 1 : name;
  const size_t length = strlen(plain);
  if (length == 0 || length > 128 || strcmp(plain, ".") == 0 || strcmp(plain, "..") == 0) return false;
  return strspn(plain, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}
static inline int naru__find_folder(naru *m, const char *name, bool may_make) {
  const char *chosen = getenv("NARU_RUNTIME_DIR");
  char base[256];
  int length;
  if (chosen == NULL || chosen[0] == 0) length = snprintf(base, sizeof base, "/dev/shm/naru-%u", (unsigned)getuid());
  else if (chosen[0] == '/') length = snprintf(base, sizeof base, "%s", chosen);
  else {
    if (getcwd(m->folder, sizeof m->folder) == NULL) return naru__system(m, "finding the working directory");
    length = snprintf(base, sizeof base, "%s/%s", m->folder, chosen);
  }
  if (length < 0 || (size_t)length >= sizeof base)
    return naru__fail(m, NARU_E_INVALID_ARGUMENT, "the runtime folder's path is longer than %zu bytes", sizeof base - 1);
  snprintf(m->folder, sizeof m->folder, "%s/%s", base, name);
  if (may_make && ((mkdir(base, 0700) != 0 && errno != EEXIST) || (mkdir(m->folder, 0700) != 0 && errno != EEXIST)))
    return naru__system(m, "making its folder");
  const char *const folders[] = {base, m->folder};
  for (int i = 0; i < 2; i++) {
    struct stat status;
    if (lstat(folders[i], &status) != 0)
      return errno == ENOENT || errno == ENOTDIR ? naru__fail(m, NARU_E_NOT_FOUND, "%s does not exist", m->folder)
                                                 : naru__system(m, "looking at its folder");
    if (!S_ISDIR(status.st_mode) || status.st_uid != getuid() || (status.st_mode & 077) != 0)
      return naru__fail(m, NARU_E_DENIED, "%s is no folder of yours alone", folders[i]);
  }
  m->folder_fd = open(m->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (m->folder_fd >= 0) return NARU_OK;
  return errno == ENOENT ? naru__fail(m, NARU_E_NOT_FOUND, "%s does not exist", m->folder)
                         : naru__system(m, "opening its folder");
}

// As naru_open(); makes the mailbox when it is not there. NARU_E_EXISTS when it is and has another relation or owner.
static inline int naru_create(naru *m, const char *name, unsigned role, const naru_shape *shape) {
  memset(m, 0, sizeof *m);
  m->spin_micros = 20;
  m->ring_fd = m->folder_fd = m->fifo_fd = -1;
  m->slot = NARU__SLOTS;
  for (uint32_t slot = 0; slot < NARU__SLOTS; slot++) m->bells[slot].fd = -1;
  if (name == NULL || !naru__is_name(name) || role > (NARU_PRODUCER | NARU_CONSUMER))
    return m->gone = naru__fail(m, NARU_E_INVALID_ARGUMENT,
                                "a name is 1 to 128 of the characters A-Z a-z 0-9 . _ -, a role NARU_PRODUCER or NARU_CONSUMER");
  int error, lock = NARU_E_NOT_FOUND;
  // Removed the very moment it was made: once more.
  for (int attempt = 0; attempt < 100; attempt++) {
    error = naru__find_folder(m, name, shape != NULL);
    if (error == NARU_OK) {
      lock = naru__lock(m, shape != NULL ? O_CREAT : 0, NARU__LOCK_WAIT_MS);
      if (lock != NARU_E_NOT_FOUND) break;
      close(m->folder_fd);
      m->folder_fd = -1;
      error = naru__fail(m, NARU_E_NOT_FOUND, "%s does not exist", m->folder);
    }
    if (error != NARU_E_NOT_FOUND || shape == NULL) break;
  }
  if (error == NARU_OK) error = lock < 0 ? lock : naru__join(m, role, shape);
  if (error != NARU_OK) {
    m->gone = error;
    naru__release(m);
  }
  if (lock >= 0) close(lock);
  return error;
}

// Takes part in the mailbox shm://<name> as NARU_PRODUCER, NARU_CONSUMER, both or neither (0). Whatever it returns, `problem` says it in
// words; after an error nothing has to be closed.
static inline int naru_open(naru *m, const char *name, unsigned role) { return naru_create(m, name, role, NULL); }

// Leaves the mailbox: what was put and not published is forgotten, what was received and not settled goes back. With its last
// user, or its owner, the mailbox goes.
static inline void naru_close(naru *m) {
  if (m->base == NULL) return;
  if (m->gone == 0) {
    naru_flush(m);
    const int lock = naru__lock(m, 0, NARU__LOCK_WAIT_MS);
    // Where it cannot be had: without its FIFO this participant counts as dead, and the next one cleans up.
    if (lock >= 0) {
      naru__leave(m);
      close(lock);
    }
  }
  naru__release(m);
}

#endif
