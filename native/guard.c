// Mappings whose file another process may make shorter: touching what was cut off is SIGBUS, the death of the process, unless a
// handler lays other memory there. sigaction(2), mmap(2)
#include "naru.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARDS_MAX = 1024 };

// Read by the handler, in any thread at any moment: `start` is stored last and taken away first. 0: free.
typedef struct {
  _Atomic(uintptr_t) start;
  _Atomic(size_t) size;
  atomic_bool torn;
} guard;

static guard guards[GUARDS_MAX];
static atomic_uint used; // slots that were ever taken
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before;
static uintptr_t page_bytes;

static guard *find(uintptr_t at) {
  const unsigned count = atomic_load(&used);
  for (unsigned i = 0; i < count; i++) {
    const uintptr_t start = atomic_load(&guards[i].start);
    if (start != 0 && at >= start && at - start < atomic_load(&guards[i].size)) return &guards[i];
  }
  return NULL;
}

// Calls what signal-safety(7) allows, and mmap(2), which is a plain system call.
static void on_bus_error(int number, siginfo_t *info, void *context) {
  const int saved = errno;
  const uintptr_t at = (uintptr_t)info->si_addr;
  guard *it = info->si_code == BUS_ADRERR ? find(at) : NULL;
  if (it != NULL) {
    void *page = (void *)(at & ~(page_bytes - 1));
    atomic_store(&it->torn, true);
    if (mmap(page, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
      errno = saved;
      return;
    }
  }
  // Nobody's business here: as it was before us.
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(number, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(number);
  } else {
    sigaction(SIGBUS, &before, NULL);
    raise(SIGBUS);
  }
  errno = saved;
}

static void install(void) {
  page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
  struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &before);
}

// False when all slots are taken.
static bool take_slot(uintptr_t start, size_t size) {
  for (unsigned i = 0; i < GUARDS_MAX; i++) {
    guard *it = &guards[i];
    if (atomic_load(&it->start) != 0) continue;
    atomic_store(&it->torn, false);
    atomic_store(&it->size, size);
    atomic_store(&it->start, start);
    if (i >= atomic_load(&used)) atomic_store(&used, i + 1);
    return true;
  }
  return false;
}

void guard_forget(void *data) {
  guard *it = find((uintptr_t)data);
  if (it != NULL) atomic_store(&it->start, 0);
}

bool guard_add(void *data, size_t size) {
  pthread_once(&once, install);
  pthread_mutex_lock(&lock);
  const bool done = find((uintptr_t)data) != NULL || take_slot((uintptr_t)data, size);
  pthread_mutex_unlock(&lock);
  return done;
}

bool guard_torn(void *data) {
  const guard *it = find((uintptr_t)data);
  return it != NULL && atomic_load(&it->torn);
}
