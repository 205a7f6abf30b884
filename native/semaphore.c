// Semaphores that processes share: POSIX's by name, sem_overview(7), and one of a System V set, semop(2). Both kinds are one
// handle with the same calls. Waiting is in slices (futex.c), here or in a thread of its own (task.c).
#include "naru.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>

union semun {
  int val;
  struct semid_ds *buf;
  unsigned short *array;
};

// `users`: the JavaScript object and each thread that waits. Touched by one environment's thread only.
typedef struct {
  sem_t *posix; // NULL: System V, or closed
  int id;
  unsigned short index;
  bool undo;
  bool closed;
  uint32_t users;
} semaphore;

static void drop_user(void *data) {
  semaphore *it = data;
  it->users -= 1;
  if (it->users == 0 && it->posix != NULL) {
    sem_close(it->posix);
    it->posix = NULL;
  }
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  semaphore *it = data;
  if (!it->closed) drop_user(it);
  free(it);
}

static napi_value create_handle(napi_env env, const semaphore *like) {
  napi_value result;
  semaphore *it = malloc(sizeof *it);
  if (it != NULL) {
    *it = *like;
    it->users = 1;
    if (napi_create_external(env, it, finalize, NULL, &result) == napi_ok) return result;
    free(it);
  }
  if (like->posix != NULL) sem_close(like->posix);
  return throw_errno(env, ENOMEM, "malloc");
}

static bool handle_of(napi_env env, napi_value value, semaphore **out) {
  napi_valuetype type;
  void *data;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_external &&
      napi_get_value_external(env, value, &data) == napi_ok) {
    *out = data;
    if (!(*out)->closed) return true;
    throw_code(env, EBADF, NULL, "the semaphore is closed");
    return false;
  }
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "semaphore must be a handle of one");
  return false;
}

// (name, create: 0 never, 1 must be new, mode, value)
static napi_value open_posix(napi_env env, napi_callback_info info) {
  napi_value values[4];
  char name[NAME_MAX + 2];
  bool create;
  int64_t mode, value;
  if (!args_read(env, info, 4, values) || !arg_string(env, values[0], "name", name, sizeof name) ||
      !arg_boolean(env, values[1], "create", &create) || !arg_integer(env, values[2], "mode", 0, 0777, &mode) ||
      !arg_integer(env, values[3], "value", 0, SEM_VALUE_MAX, &value))
    return NULL;
  sem_t *opened = create ? sem_open(name, O_CREAT | O_EXCL, (mode_t)mode, (unsigned)value) : sem_open(name, 0);
  if (opened == SEM_FAILED) return throw_errno(env, errno, "sem_open");
  return create_handle(env, &(semaphore){.posix = opened});
}

static napi_value unlink_posix(napi_env env, napi_callback_info info) {
  napi_value value;
  char name[NAME_MAX + 2];
  if (!args_read(env, info, 1, &value) || !arg_string(env, value, "name", name, sizeof name)) return NULL;
  return sem_unlink(name) == 0 ? NULL : throw_errno(env, errno, "sem_unlink");
}

// (id, index, undo): a handle costs nothing in the kernel.
static napi_value open_system_v(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int64_t id, index;
  bool undo;
  if (!args_read(env, info, 3, values) || !arg_integer(env, values[0], "id", 0, INT_MAX, &id) ||
      !arg_integer(env, values[1], "index", 0, USHRT_MAX, &index) || !arg_boolean(env, values[2], "undo", &undo))
    return NULL;
  return create_handle(env, &(semaphore){.id = (int)id, .index = (unsigned short)index, .undo = undo});
}

static napi_value close_handle(napi_env env, napi_callback_info info) {
  napi_value value;
  semaphore *it;
  if (!args_read(env, info, 1, &value) || !handle_of(env, value, &it)) return NULL;
  it->closed = true;
  drop_user(it);
  return NULL;
}

static int change(const semaphore *it, short by, bool wait, const struct timespec *timeout) {
  struct sembuf operation = {.sem_num = it->index, .sem_op = by};
  operation.sem_flg = (short)((it->undo ? SEM_UNDO : 0) | (wait ? 0 : IPC_NOWAIT));
  return timeout == NULL ? semop(it->id, &operation, 1) : semtimedop(it->id, &operation, 1, timeout);
}

// EINTR ends the slice, so that whoever waits looks whether it is to stop.
static wait_result acquire_slice(void *context, double slice_ms) {
  semaphore *it = context;
  const struct timespec slice = {.tv_sec = 0, .tv_nsec = (long)(slice_ms * 1e6)};
  int failed;
  if (it->posix == NULL) {
    failed = change(it, -1, true, &slice);
    if (failed != 0 && errno == EAGAIN) return WAIT_TIMEOUT;
  } else {
    struct timespec end; // sem_timedwait(3) takes the wall clock; a jump of it moves one slice, not the whole wait
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += slice.tv_nsec;
    if (end.tv_nsec >= 1000000000L) {
      end.tv_nsec -= 1000000000L;
      end.tv_sec += 1;
    }
    failed = sem_timedwait(it->posix, &end);
    if (failed != 0 && errno == ETIMEDOUT) return WAIT_TIMEOUT;
  }
  return failed == 0 ? WAIT_WOKEN : WAIT_FAILED;
}

static const char *wait_call(const semaphore *it) {
  return it->posix != NULL ? "sem_timedwait" : "semtimedop";
}

static napi_value try_acquire(napi_env env, napi_callback_info info) {
  napi_value value, result;
  semaphore *it;
  if (!args_read(env, info, 1, &value) || !handle_of(env, value, &it)) return NULL;
  int failed;
  do failed = it->posix != NULL ? sem_trywait(it->posix) : change(it, -1, false, NULL);
  while (failed != 0 && errno == EINTR);
  if (failed != 0 && errno != EAGAIN) return throw_errno(env, errno, it->posix != NULL ? "sem_trywait" : "semop");
  napi_get_boolean(env, failed == 0, &result);
  return result;
}

static napi_value acquire(napi_env env, napi_callback_info info) {
  napi_value values[2];
  semaphore *it;
  double timeout_ms;
  if (!args_read(env, info, 2, values) || !handle_of(env, values[0], &it) || !arg_timeout(env, values[1], &timeout_ms))
    return NULL;
  return task_run(env, wait_call(it), acquire_slice, it, timeout_ms);
}

typedef struct {
  semaphore *semaphore;
  napi_env env;
  napi_ref keep; // the handle, so that it is not finalized under the thread
} acquisition;

static wait_result acquire_in_thread(void *context, double slice_ms) {
  return acquire_slice(((acquisition *)context)->semaphore, slice_ms);
}

static void acquisition_release(void *context) {
  acquisition *it = context;
  drop_user(it->semaphore);
  napi_delete_reference(it->env, it->keep);
  free(it);
}

static napi_value acquire_async(napi_env env, napi_callback_info info) {
  napi_value values[2];
  semaphore *it;
  double timeout_ms;
  if (!args_read(env, info, 2, values) || !handle_of(env, values[0], &it) || !arg_timeout(env, values[1], &timeout_ms))
    return NULL;
  acquisition *wanted = calloc(1, sizeof *wanted);
  if (wanted == NULL || napi_create_reference(env, values[0], 1, &wanted->keep) != napi_ok) {
    free(wanted);
    return throw_errno(env, ENOMEM, "malloc");
  }
  wanted->semaphore = it;
  wanted->env = env;
  it->users += 1;
  return task_start(env, wait_call(it), acquire_in_thread, wanted, timeout_ms, acquisition_release);
}

static napi_value release(napi_env env, napi_callback_info info) {
  napi_value value;
  semaphore *it;
  if (!args_read(env, info, 1, &value) || !handle_of(env, value, &it)) return NULL;
  int failed;
  do failed = it->posix != NULL ? sem_post(it->posix) : change(it, 1, false, NULL);
  while (failed != 0 && errno == EINTR);
  return failed == 0 ? NULL : throw_errno(env, errno, it->posix != NULL ? "sem_post" : "semop");
}

static napi_value value_of(napi_env env, napi_callback_info info) {
  napi_value value, result = NULL;
  semaphore *it;
  int count = 0;
  if (!args_read(env, info, 1, &value) || !handle_of(env, value, &it)) return NULL;
  if (it->posix != NULL) {
    if (sem_getvalue(it->posix, &count) != 0) return throw_errno(env, errno, "sem_getvalue");
  } else {
    count = semctl(it->id, it->index, GETVAL);
    if (count < 0) return throw_errno(env, errno, "semctl");
  }
  napi_create_int32(env, count, &result);
  return result;
}

// (key, count, create, mode). Linux makes all values 0, semget(2), and `create` adds each initial value in one semop(2): whoever
// opens the set between the two waits for them like for a release, so there is no moment with a wrong value.
static napi_value get_set(napi_env env, napi_callback_info info) {
  napi_value values[4], result;
  int64_t key, count, mode;
  bool create;
  if (!args_read(env, info, 4, values) || !arg_integer(env, values[0], "key", INT32_MIN, UINT32_MAX, &key) ||
      !arg_integer(env, values[1], "count", 0, USHRT_MAX, &count) ||
      !arg_boolean(env, values[2], "create", &create) || !arg_integer(env, values[3], "mode", 0, 0777, &mode))
    return NULL;
  const int id = semget((key_t)(uint32_t)key, (int)count, create ? IPC_CREAT | IPC_EXCL | (int)mode : 0);
  if (id < 0) return throw_errno(env, errno, "semget");
  napi_create_int32(env, id, &result);
  return result;
}

// (id, count, value): adds `value` to each, without undo.
static napi_value add_to_set(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int64_t id, count, value;
  if (!args_read(env, info, 3, values) || !arg_integer(env, values[0], "id", 0, INT_MAX, &id) ||
      !arg_integer(env, values[1], "count", 1, 500, &count) || !arg_integer(env, values[2], "value", 1, 32767, &value))
    return NULL;
  struct sembuf operations[500];
  for (int i = 0; i < count; i++) operations[i] = (struct sembuf){.sem_num = (unsigned short)i, .sem_op = (short)value};
  return semop((int)id, operations, (size_t)count) == 0 ? NULL : throw_errno(env, errno, "semop");
}

static napi_value remove_set(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t id;
  if (!args_read(env, info, 1, &value) || !arg_integer(env, value, "id", 0, INT_MAX, &id)) return NULL;
  return semctl((int)id, 0, IPC_RMID) == 0 ? NULL : throw_errno(env, errno, "semctl");
}

// [key, count, mode, uid, gid]
static napi_value stat_set(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t id;
  struct semid_ds status;
  if (!args_read(env, info, 1, &value) || !arg_integer(env, value, "id", 0, INT_MAX, &id)) return NULL;
  if (semctl((int)id, 0, IPC_STAT, (union semun){.buf = &status}) != 0) return throw_errno(env, errno, "semctl");
  const double fields[] = {status.sem_perm.__key, (double)status.sem_nsems, status.sem_perm.mode & 0777,
                           status.sem_perm.uid, status.sem_perm.gid};
  return numbers_value(env, fields, sizeof fields / sizeof fields[0]);
}

bool naru_init_semaphores(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      NARU_METHOD("semOpen", open_posix),        NARU_METHOD("semUnlink", unlink_posix),
      NARU_METHOD("systemVSemOpen", open_system_v), NARU_METHOD("semClose", close_handle),
      NARU_METHOD("semTryAcquire", try_acquire), NARU_METHOD("semAcquire", acquire),
      NARU_METHOD("semAcquireAsync", acquire_async), NARU_METHOD("semRelease", release),
      NARU_METHOD("semValue", value_of),         NARU_METHOD("systemVSemGet", get_set),
      NARU_METHOD("systemVSemAdd", add_to_set),         NARU_METHOD("systemVSemRemove", remove_set),
      NARU_METHOD("systemVSemStat", stat_set),
  };
  return NARU_DEFINE(env, exports, properties);
}
