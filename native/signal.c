// Signals with a value: sigqueue(3), and a handler that puts each into a ring and rings a pipe, signal-safety(7). One ring for the
// process, because a signal handler is the process's; only the main thread installs and drains.
#include "naru.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { RING = 4096 }; // a power of two

// A bounded queue of several writers (handlers may run in several threads at once) and one reader. `turn` says whose slot it
// is: equal to the position: a writer's; one more: the reader's.
typedef struct {
  _Atomic uint32_t turn;
  int32_t number, value, pid, code;
  uint32_t uid;
} entry;

static entry ring[RING];
static _Atomic uint32_t head; // next to write
static uint32_t tail;         // next to read
static _Atomic uint32_t lost;
static int bell[2] = {-1, -1};
static struct sigaction before[NSIG];
static bool installed[NSIG];

static bool push(int number, const siginfo_t *info) {
  uint32_t at = atomic_load(&head);
  for (;;) {
    entry *slot = &ring[at % RING];
    const int32_t distance = (int32_t)(atomic_load(&slot->turn) - at);
    if (distance < 0) return false;
    if (distance > 0) at = atomic_load(&head);
    else if (atomic_compare_exchange_weak(&head, &at, at + 1)) {
      slot->number = number;
      slot->value = info->si_value.sival_int;
      slot->code = info->si_code;
      slot->pid = info->si_pid;
      slot->uid = info->si_uid;
      atomic_store(&slot->turn, at + 1);
      return true;
    }
  }
}

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)context;
  const int error = errno;
  if (!push(number, info)) atomic_fetch_add(&lost, 1);
  // A full pipe is a bell that rings already.
  while (write(bell[1], "\1", 1) < 0 && errno == EINTR) continue;
  errno = error;
}

static bool number_read(napi_env env, napi_value value, int64_t *out) {
  return arg_integer(env, value, "signal", 1, NSIG - 1, out);
}

// → the bell's descriptor to read from. The pipe stays for the process's life: a handler may be about to write into it.
static napi_value bell_open(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  if (bell[0] < 0) {
    if (pipe2(bell, O_CLOEXEC | O_NONBLOCK) != 0) return throw_errno(env, errno, "pipe2");
    for (uint32_t i = 0; i < RING; i++) atomic_store(&ring[i].turn, i);
  }
  napi_create_int32(env, bell[0], &result);
  return result;
}

static napi_value install(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t number;
  if (!args_read(env, info, 1, &value) || !number_read(env, value, &number)) return NULL;
  if (bell[0] < 0 || !environment_of(env)->main_thread)
    return throw_code(env, EINVAL, "sigaction", "signals are handled in the main thread, after signalBell()");
  struct sigaction ours = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART}, old;
  sigfillset(&ours.sa_mask);
  if (sigaction((int)number, &ours, &old) != 0) return throw_errno(env, errno, "sigaction");
  if (!installed[number]) before[number] = old;
  installed[number] = true;
  return NULL;
}

static napi_value uninstall(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t number;
  if (!args_read(env, info, 1, &value) || !number_read(env, value, &number)) return NULL;
  if (!installed[number]) return NULL;
  installed[number] = false;
  return sigaction((int)number, &before[number], NULL) == 0 ? NULL : throw_errno(env, errno, "sigaction");
}

// → flat list of [signal, value, pid, uid, code] for at most so many
static napi_value drain(napi_env env, napi_callback_info info) {
  napi_value value, list, number;
  int64_t most;
  uint32_t length = 0;
  if (!args_read(env, info, 1, &value) || !arg_integer(env, value, "most", 1, RING, &most)) return NULL;
  if (napi_create_array(env, &list) != napi_ok) return NULL;
  for (; most > 0; most--) {
    entry *slot = &ring[tail % RING];
    if (bell[0] < 0 || atomic_load(&slot->turn) != tail + 1) break;
    const double fields[] = {slot->number, slot->value, slot->pid, slot->uid, slot->code};
    atomic_store(&slot->turn, tail + RING);
    tail += 1;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
      napi_create_double(env, fields[i], &number);
      napi_set_element(env, list, length++, number);
    }
  }
  return list;
}

static napi_value lost_count(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  napi_create_uint32(env, atomic_load(&lost), &result);
  return result;
}

static napi_value send(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int64_t pid, number, value;
  if (!args_read(env, info, 3, values) || !arg_integer(env, values[0], "pid", 1, INT32_MAX, &pid) ||
      !number_read(env, values[1], &number) || !arg_integer(env, values[2], "value", INT32_MIN, INT32_MAX, &value))
    return NULL;
  const union sigval data = {.sival_int = (int)value};
  return sigqueue((pid_t)pid, (int)number, data) == 0 ? NULL : throw_errno(env, errno, "sigqueue");
}

bool naru_init_signals(napi_env env, napi_value exports) {
  napi_value first, last;
  // Not constants: the C library keeps some for itself, signal(7).
  if (napi_create_int32(env, SIGRTMIN, &first) != napi_ok || napi_create_int32(env, SIGRTMAX, &last) != napi_ok) return false;
  const napi_property_descriptor properties[] = {
      {"signalRealTimeFirst", NULL, NULL, NULL, NULL, first, napi_enumerable, NULL},
      {"signalRealTimeLast", NULL, NULL, NULL, NULL, last, napi_enumerable, NULL},
      NARU_METHOD("signalBell", bell_open),  NARU_METHOD("signalInstall", install),
      NARU_METHOD("signalUninstall", uninstall), NARU_METHOD("signalDrain", drain),
      NARU_METHOD("signalLost", lost_count), NARU_METHOD("signalSend", send),
  };
  return NARU_DEFINE(env, exports, properties);
}
