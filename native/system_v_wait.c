// Waiting for a System V queue without blocking the event loop. Such a queue has no descriptor to watch, so a thread of its own
// sits in msgrcv(2) or msgsnd(2) and hands the outcome over. A cancelled wait never loses a message: the thread is interrupted by
// a signal, and tells whether it had taken or sent one. The thread touches its own record and its queue of results, nothing else.
#include "naru.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <time.h>

enum { RESEND_NS = 1000000 };

typedef enum { WAITER_IDLE, WAITER_BUSY, WAITER_DONE } waiter_state;

typedef struct {
  napi_env env;
  pthread_t thread;
  pthread_mutex_t mutex; // guards state, stop and quit; whoever has the state on its side owns the rest
  pthread_cond_t changed;
  waiter_state state;
  bool stop; // ends the present wait
  bool quit; // ends the thread
  bool closed;
  bool background; // a wait keeps no event loop alive
  int owners; // the JavaScript object and the queue of results
  napi_threadsafe_function results;
  int id;
  bool sending;
  long selector;
  int flags;
  record *message;
  size_t capacity;
  size_t max;
  ssize_t outcome;
  int error;
} queue_waiter;

static void run_call(queue_waiter *it) {
  if (it->sending) it->outcome = msgsnd(it->id, &it->message->type, it->message->length, 0);
  else it->outcome = msgrcv(it->id, &it->message->type, it->max, it->selector, it->flags);
  it->error = it->outcome < 0 ? errno : 0;
}

static void *run(void *context) {
  queue_waiter *it = context;
  pthread_mutex_lock(&it->mutex);
  for (;;) {
    while (it->state != WAITER_BUSY && !it->quit) pthread_cond_wait(&it->changed, &it->mutex);
    if (it->state != WAITER_BUSY) break;
    it->outcome = -1;
    it->error = EINTR;
    while (it->outcome < 0 && it->error == EINTR && !it->stop) {
      pthread_mutex_unlock(&it->mutex);
      run_call(it);
      pthread_mutex_lock(&it->mutex);
    }
    it->state = WAITER_DONE;
    const bool report = !it->stop;
    pthread_cond_broadcast(&it->changed);
    pthread_mutex_unlock(&it->mutex);
    if (report) napi_call_threadsafe_function(it->results, NULL, napi_tsfn_nonblocking);
    pthread_mutex_lock(&it->mutex);
  }
  pthread_mutex_unlock(&it->mutex);
  return NULL;
}

// Ends the present wait, if there is one. The signal may come just before the thread enters the call: then it comes again.
static void interrupt(queue_waiter *it) {
  pthread_mutex_lock(&it->mutex);
  it->stop = true;
  while (it->state == WAITER_BUSY) {
    pthread_kill(it->thread, interrupt_signal());
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += RESEND_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&it->changed, &it->mutex, &until);
  }
  it->stop = false;
  pthread_mutex_unlock(&it->mutex);
}

static void disown(queue_waiter *it) {
  it->owners -= 1;
  if (it->owners > 0) return;
  pthread_cond_destroy(&it->changed);
  pthread_mutex_destroy(&it->mutex);
  free(it->message);
  free(it);
}

// Ends the thread. Also the environment's cleanup hook: registered after the queue of results was made, so run before it goes.
static void stop_thread(void *data) {
  queue_waiter *it = data;
  if (it->closed) return;
  it->closed = true;
  pthread_mutex_lock(&it->mutex);
  it->quit = true;
  pthread_cond_broadcast(&it->changed);
  pthread_mutex_unlock(&it->mutex);
  interrupt(it);
  pthread_join(it->thread, NULL);
  // JavaScript can take it no more (a worker's end): back it goes, behind the others, if there is room.
  if (it->state == WAITER_DONE && !it->sending && it->error == 0)
    msgsnd(it->id, &it->message->type, (size_t)it->outcome, IPC_NOWAIT);
  napi_release_threadsafe_function(it->results, napi_tsfn_abort);
}

static void close_waiter(queue_waiter *it) {
  if (it->closed) return;
  napi_remove_env_cleanup_hook(it->env, stop_thread, it);
  stop_thread(it);
}

static void external_gone(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  close_waiter(data);
  disown(data);
}

static void results_gone(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  disown(data);
}

// errno (0 = done), the message's bytes and its type; the last two of a receive only.
static bool outcome_values(napi_env env, queue_waiter *it, napi_value values[3]) {
  if (napi_create_int32(env, it->error, &values[0]) != napi_ok || napi_get_undefined(env, &values[1]) != napi_ok ||
      napi_get_undefined(env, &values[2]) != napi_ok)
    return false;
  if (it->error != 0 || it->sending) return true;
  void *data;
  if (napi_create_arraybuffer(env, (size_t)it->outcome, &data, &values[1]) != napi_ok) return false;
  memcpy(data, it->message->body, (size_t)it->outcome);
  return napi_create_double(env, (double)it->message->type, &values[2]) == napi_ok;
}

// In the event loop. A cancelled wait may have left its call in the queue: it finds nothing, or the outcome of the next.
static void deliver(napi_env env, napi_value callback, void *context, void *data) {
  (void)data;
  queue_waiter *it = context;
  if (env == NULL || it->closed) return;
  pthread_mutex_lock(&it->mutex);
  const bool done = it->state == WAITER_DONE;
  if (done) it->state = WAITER_IDLE;
  pthread_mutex_unlock(&it->mutex);
  napi_value values[3], receiver;
  if (!done) return;
  if (!it->background) napi_unref_threadsafe_function(env, it->results);
  if (outcome_values(env, it, values) && napi_get_undefined(env, &receiver) == napi_ok)
    napi_call_function(env, receiver, callback, 3, values, NULL);
}

static queue_waiter *waiter_new(napi_env env) {
  queue_waiter *it = calloc(1, sizeof *it);
  if (it == NULL) return NULL;
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&it->mutex, NULL);
  pthread_cond_init(&it->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  it->env = env;
  it->owners = 1;
  return it;
}

// (id, callback, isBackground): a waiter for that queue; its thread starts here.
static napi_value create(napi_env env, napi_callback_info info) {
  napi_value values[3], name, external;
  int64_t id;
  bool background;
  if (!args_read(env, info, 3, values) || !arg_integer(env, values[0], "id", 0, INT_MAX, &id) ||
      !arg_boolean(env, values[2], "isBackground", &background))
    return NULL;
  if (interrupt_signal() == 0) return throw_code(env, EBUSY, NULL, "no real-time signal is free");
  queue_waiter *it = waiter_new(env);
  if (it == NULL) return throw_errno(env, ENOMEM, "pthread_create");
  it->id = (int)id;
  it->background = background;
  if (napi_create_string_utf8(env, "naru.systemVWaiter", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, values[1], NULL, name, 0, 1, it, results_gone, it, deliver, &it->results) != napi_ok) {
    disown(it);
    return NULL;
  }
  napi_unref_threadsafe_function(env, it->results);
  const int error = thread_start(&it->thread, interrupt_signal(), run, it);
  if (error != 0) {
    it->closed = true;
    napi_release_threadsafe_function(it->results, napi_tsfn_abort);
    return throw_errno(env, error, "pthread_create");
  }
  napi_add_env_cleanup_hook(env, stop_thread, it);
  if (napi_create_external(env, it, external_gone, NULL, &external) == napi_ok) {
    it->owners += 1;
    return external;
  }
  close_waiter(it);
  return NULL;
}

static queue_waiter *arg_idle(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) == napi_ok) {
    queue_waiter *it = data;
    if (!it->closed && it->state == WAITER_IDLE) return it; // nobody but us leaves this state
  }
  napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "waiter must be an open waiter that waits for nothing");
  return NULL;
}

static bool reserve(queue_waiter *it, size_t bytes) {
  if (it->message != NULL && it->capacity >= bytes) return true;
  record *memory = realloc(it->message, RECORD_HEAD + bytes);
  if (memory == NULL) return false;
  it->message = memory;
  it->capacity = bytes;
  return true;
}

static napi_value start(napi_env env, queue_waiter *it) {
  if (!it->background) napi_ref_threadsafe_function(env, it->results);
  pthread_mutex_lock(&it->mutex);
  it->state = WAITER_BUSY;
  pthread_cond_broadcast(&it->changed);
  pthread_mutex_unlock(&it->mutex);
  return NULL;
}

// (waiter, selector, truncate, except, maxBytes)
static napi_value start_receive(napi_env env, napi_callback_info info) {
  napi_value values[5];
  queue_waiter *it;
  int64_t selector, max;
  bool truncate, except;
  if (!args_read(env, info, 5, values) || (it = arg_idle(env, values[0])) == NULL ||
      !arg_integer(env, values[1], "selector", -(1LL << 53), 1LL << 53, &selector) ||
      !arg_boolean(env, values[2], "truncate", &truncate) || !arg_boolean(env, values[3], "except", &except) ||
      !arg_integer(env, values[4], "maxBytes", 0, INT_MAX, &max))
    return NULL;
  if (!reserve(it, (size_t)max)) return throw_errno(env, ENOMEM, "msgrcv");
  it->sending = false;
  it->selector = (long)selector;
  it->flags = (truncate ? MSG_NOERROR : 0) | (except ? MSG_EXCEPT : 0);
  it->max = (size_t)max;
  return start(env, it);
}

// (waiter): the first record.
static napi_value start_send(napi_env env, napi_callback_info info) {
  napi_value value;
  queue_waiter *it;
  const record *message;
  size_t at = 0;
  if (!args_read(env, info, 1, &value) || (it = arg_idle(env, value)) == NULL || (message = record_next(env, &at)) == NULL)
    return NULL;
  if (!reserve(it, message->length)) return throw_errno(env, ENOMEM, "msgsnd");
  memcpy(it->message, message, RECORD_HEAD + message->length);
  it->sending = true;
  return start(env, it);
}

// (waiter): ends its wait. What it had done by then as [errno, body, type]; undefined when that is nothing.
static napi_value cancel(napi_env env, napi_callback_info info) {
  napi_value value, values[3], list;
  void *data = NULL;
  if (!args_read(env, info, 1, &value) || napi_get_value_external(env, value, &data) != napi_ok) return NULL;
  queue_waiter *it = data;
  if (it->closed) return NULL;
  interrupt(it);
  if (it->state == WAITER_IDLE) return NULL;
  it->state = WAITER_IDLE;
  if (!it->background) napi_unref_threadsafe_function(env, it->results);
  if (it->error == EINTR || !outcome_values(env, it, values) || napi_create_array_with_length(env, 3, &list) != napi_ok)
    return NULL;
  for (uint32_t i = 0; i < 3; i++) napi_set_element(env, list, i, values[i]);
  return list;
}

static napi_value close_now(napi_env env, napi_callback_info info) {
  napi_value value;
  void *data = NULL;
  if (args_read(env, info, 1, &value) && napi_get_value_external(env, value, &data) == napi_ok) close_waiter(data);
  return NULL;
}

#define METHOD(name, function) {name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL}

bool naru_init_system_v_wait(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      METHOD("systemVWaiter", create),
      METHOD("systemVWaitReceive", start_receive),
      METHOD("systemVWaitSend", start_send),
      METHOD("systemVWaitCancel", cancel),
      METHOD("systemVWaitClose", close_now),
  };
  return napi_define_properties(env, exports, sizeof properties / sizeof properties[0], properties) == napi_ok;
}
