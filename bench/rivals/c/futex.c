// Two threads of two processes that sleep on a word each: the least that waking a parked thread can cost.
#include "rival.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

// Each in lines of its own.
typedef struct {
  _Alignas(128) _Atomic uint32_t there;
  _Alignas(128) _Atomic uint32_t back;
} words;

static words *shared;

static void futex_open(void) {
  shared = shared_memory(sizeof *shared);
}

static void hit(_Atomic uint32_t *word) {
  atomic_fetch_add(word, 1);
  syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

// Sleeps at once, as a parked thread does: no spinning.
static void await(_Atomic uint32_t *word, uint32_t before) {
  do syscall(SYS_futex, word, FUTEX_WAIT, before, NULL, NULL, 0);
  while (atomic_load(word) == before);
}

static void futex_ping(void) {
  const uint32_t before = atomic_load(&shared->back);
  hit(&shared->there);
  await(&shared->back, before);
}

// The last ball this process has seen; the parent plays the next one only after this one has gone back.
static void futex_pong(void) {
  await(&shared->there, atomic_load(&shared->back));
  hit(&shared->back);
}

const rival the_rival = {futex_open, NULL, NULL, futex_ping, futex_pong, 1};
