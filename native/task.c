// A blocking system call in a thread of its own, with a promise: libuv's pool has four threads for everybody, and a few waits
// would take them all. The call is cut in slices, so that a cancelled one or an ending environment is noticed within 50 ms.
#include "naru.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

struct task {
  uint32_t id;
  const char *syscall;
  blocking_call call;
  void *context;
  void (*release)(void *context);
  double timeout_ms;
  pthread_t thread;
  atomic_bool stop;
  wait_result result;
  int error;
  bool posted; // handed to the queue, whose callback frees it; read after the join only
  napi_threadsafe_function results;
  napi_deferred deferred;
  environment *own; // NULL once the environment has gone
  task *previous, *next;
};

// EINTR ends a slice, not the wait; whoever waits then looks whether it is to stop.
static wait_result call_in_slices(blocking_call call, void *context, double timeout_ms, wait_result (*stop)(void *),
                                  void *stop_context) {
  const bool endless = timeout_ms < 0 || isinf(timeout_ms);
  const double deadline = endless ? INFINITY : clock_ms() + timeout_ms;
  for (;;) {
    double left = endless ? NARU_SLICE_MS : deadline - clock_ms();
    if (left > NARU_SLICE_MS) left = NARU_SLICE_MS;
    const wait_result result = call(context, left < 0 ? 0 : left);
    if (result == WAIT_WOKEN || (result == WAIT_FAILED && errno != EINTR)) return result;
    const wait_result stopped = stop(stop_context);
    if (stopped != WAIT_WOKEN) return stopped;
    if (clock_ms() >= deadline) return WAIT_TIMEOUT;
  }
}

static wait_result stop_task(void *context) {
  return atomic_load(&((task *)context)->stop) ? WAIT_STOPPED : WAIT_WOKEN;
}

static void *run(void *context) {
  task *it = context;
  it->result = call_in_slices(it->call, it->context, it->timeout_ms, stop_task, it);
  it->error = errno;
  it->posted = true;
  if (napi_call_threadsafe_function(it->results, it, napi_tsfn_nonblocking) != napi_ok) it->posted = false;
  return NULL;
}

// Takes it off the environment and lets go of all that it held. The record itself stays.
static void retire(napi_env env, task *it) {
  environment *own = it->own;
  it->own = NULL;
  if (it->previous != NULL) it->previous->next = it->next;
  else own->tasks = it->next;
  if (it->next != NULL) it->next->previous = it->previous;
  it->release(it->context);
  if (own->tasks == NULL) napi_unref_threadsafe_function(env, own->task_results);
}

static napi_value task_result(napi_env env, wait_result result, int error, const char *syscall) {
  napi_value value = NULL;
  if (result == WAIT_FAILED) return throw_errno(env, error, syscall);
  const char *name = result == WAIT_STOPPED ? "cancelled" : wait_result_name(result);
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &value);
  return value;
}

napi_value task_run(napi_env env, const char *syscall, blocking_call call, void *context, double timeout_ms) {
  blocking_begin(env);
  const wait_result result = call_in_slices(call, context, timeout_ms, blocking_stopped, env);
  blocking_end(env);
  return result == WAIT_STOPPED ? NULL : task_result(env, result, errno, syscall);
}

static void settle(napi_env env, task *it) {
  napi_value value = task_result(env, it->result, it->error, it->syscall);
  if (value != NULL) napi_resolve_deferred(env, it->deferred, value);
  else if (napi_get_and_clear_last_exception(env, &value) == napi_ok) napi_reject_deferred(env, it->deferred, value);
}

// In the event loop, for each result; without `env` when the environment is going.
static void deliver(napi_env env, napi_value callback, void *context, void *data) {
  (void)callback, (void)context;
  task *it = data;
  if (env != NULL && it->own != NULL) {
    pthread_join(it->thread, NULL);
    retire(env, it);
    settle(env, it);
  }
  // Still on the list only if the queue is torn down before stop_all(), which then needs the record.
  if (it->own == NULL) free(it);
}

// The environment's end. No thread outlives it.
static void stop_all(void *data) {
  napi_env env = data;
  environment *own = environment_of(env);
  for (task *it = own->tasks; it != NULL; it = it->next) atomic_store(&it->stop, true);
  while (own->tasks != NULL) {
    task *it = own->tasks;
    pthread_join(it->thread, NULL);
    retire(env, it);
    if (!it->posted) free(it);
  }
  napi_release_threadsafe_function(own->task_results, napi_tsfn_abort);
}

static bool results_create(napi_env env, environment *own) {
  if (own->task_results != NULL) return true;
  napi_value name;
  if (napi_create_string_utf8(env, "naru.task", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, NULL, deliver, &own->task_results) == napi_ok) {
    napi_unref_threadsafe_function(env, own->task_results);
    napi_add_env_cleanup_hook(env, stop_all, env);
    return true;
  }
  own->task_results = NULL;
  return false;
}

static void enlist(napi_env env, environment *own, task *it) {
  it->own = own;
  it->results = own->task_results;
  it->id = ++own->last_task;
  // A pending wait keeps the process, as a pending receive does.
  if (own->tasks == NULL) napi_ref_threadsafe_function(env, own->task_results);
  it->next = own->tasks;
  if (own->tasks != NULL) own->tasks->previous = it;
  own->tasks = it;
}

static napi_value describe(napi_env env, uint32_t id, napi_value promise) {
  napi_value object, number;
  if (napi_create_object(env, &object) != napi_ok || napi_create_uint32(env, id, &number) != napi_ok ||
      napi_set_named_property(env, object, "id", number) != napi_ok ||
      napi_set_named_property(env, object, "promise", promise) != napi_ok)
    return NULL;
  return object;
}

napi_value task_start(napi_env env, const char *syscall, blocking_call call, void *context, double timeout_ms,
                      void (*release)(void *context)) {
  environment *own = environment_of(env);
  napi_value promise;
  task *it = calloc(1, sizeof *it);
  if (it == NULL || !results_create(env, own) || napi_create_promise(env, &it->deferred, &promise) != napi_ok) {
    free(it);
    release(context);
    return throw_errno(env, ENOMEM, "pthread_create");
  }
  it->syscall = syscall;
  it->call = call;
  it->context = context;
  it->release = release;
  it->timeout_ms = timeout_ms;
  enlist(env, own, it);
  const uint32_t id = it->id;
  const int error = thread_start(&it->thread, 0, run, it);
  if (error != 0) {
    // No thread to be had (EAGAIN: RLIMIT_NPROC, pthread_create(3)): the promise says so.
    retire(env, it);
    it->result = WAIT_FAILED;
    it->error = error;
    it->syscall = "pthread_create";
    settle(env, it);
    free(it);
  }
  return describe(env, id, promise);
}

// The promise then gives 'cancelled', or what came first.
static napi_value cancel(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t id;
  if (!args_read(env, info, 1, &value) || !arg_integer(env, value, "id", 1, UINT32_MAX, &id)) return NULL;
  for (task *it = environment_of(env)->tasks; it != NULL; it = it->next)
    if (it->id == (uint32_t)id) atomic_store(&it->stop, true);
  return NULL;
}

bool naru_init_tasks(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {NARU_METHOD("cancelTask", cancel)};
  return NARU_DEFINE(env, exports, properties);
}
