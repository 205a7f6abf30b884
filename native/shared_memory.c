// System V shared memory: shmget(2), shmat(2), shmctl(2); and msync(2) of any mapping. POSIX objects are files under /dev/shm,
// shm_overview(7), and need nothing but mapping.c.
#include "naru.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

// (key, size, create, mode)
static napi_value get(napi_env env, napi_callback_info info) {
  napi_value values[4], result;
  int64_t key, size, mode;
  bool create;
  if (!args_read(env, info, 4, values) || !arg_integer(env, values[0], "key", INT32_MIN, UINT32_MAX, &key) ||
      !arg_integer(env, values[1], "size", 0, (int64_t)1 << 52, &size) ||
      !arg_boolean(env, values[2], "create", &create) || !arg_integer(env, values[3], "mode", 0, 0777, &mode))
    return NULL;
  const int id = shmget((key_t)(uint32_t)key, (size_t)size, create ? IPC_CREAT | IPC_EXCL | (int)mode : 0);
  if (id < 0) return throw_errno(env, errno, "shmget");
  napi_create_int32(env, id, &result);
  return result;
}

// (id, readOnly). munmap(2) detaches a segment as well as shmdt(2) does, so it is a mapping like any other.
static napi_value attach(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int64_t id;
  bool read_only;
  struct shmid_ds status;
  if (!args_read(env, info, 2, values) || !arg_integer(env, values[0], "id", 0, INT_MAX, &id) ||
      !arg_boolean(env, values[1], "readOnly", &read_only))
    return NULL;
  if (shmctl((int)id, IPC_STAT, &status) != 0) return throw_errno(env, errno, "shmctl");
  void *data = shmat((int)id, NULL, read_only ? SHM_RDONLY : 0);
  if (data == (void *)-1) return throw_errno(env, errno, "shmat");
  return mapping_wrap(env, data, status.shm_segsz);
}

static napi_value stat_segment(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t id;
  struct shmid_ds status;
  if (!args_read(env, info, 1, &value) || !arg_integer(env, value, "id", 0, INT_MAX, &id)) return NULL;
  if (shmctl((int)id, IPC_STAT, &status) != 0) return throw_errno(env, errno, "shmctl");
  const double fields[] = {status.shm_perm.__key, (double)status.shm_segsz,  status.shm_perm.mode & 0777,
                           status.shm_perm.uid,   status.shm_perm.gid,       status.shm_cpid,
                           status.shm_lpid,       (double)status.shm_nattch, (status.shm_perm.mode & SHM_DEST) != 0};
  return numbers_value(env, fields, sizeof fields / sizeof fields[0]);
}

static napi_value remove_segment(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t id;
  if (!args_read(env, info, 1, &value) || !arg_integer(env, value, "id", 0, INT_MAX, &id)) return NULL;
  return shmctl((int)id, IPC_RMID, NULL) == 0 ? NULL : throw_errno(env, errno, "shmctl");
}

typedef struct {
  char *data;
  size_t length;
  mapping *held;
} flushing;

static wait_result flush_now(void *context, double slice_ms) {
  (void)slice_ms;
  const flushing *it = context;
  return msync(it->data, it->length, MS_SYNC) == 0 ? WAIT_WOKEN : WAIT_FAILED;
}

static void flushing_release(void *context) {
  flushing *it = context;
  mapping_release(it->held);
  free(it);
}

// (buffer, offset, length): a task, because a disk may take its time.
static napi_value flush_async(napi_env env, napi_callback_info info) {
  napi_value values[3];
  void *data;
  size_t size;
  int64_t offset, length;
  if (!args_read(env, info, 3, values) || !arg_buffer(env, values[0], &data, &size) ||
      !arg_integer(env, values[1], "offset", 0, (int64_t)size, &offset) ||
      !arg_integer(env, values[2], "length", 0, (int64_t)size - offset, &length))
    return NULL;
  const int64_t before = offset % sysconf(_SC_PAGESIZE); // msync(2) wants whole pages
  mapping *held = mapping_hold(data);
  flushing *it = held == NULL ? NULL : malloc(sizeof *it);
  if (it == NULL) {
    if (held != NULL) mapping_release(held);
    return throw_code(env, EINVAL, "msync", "buffer must be a mapping");
  }
  *it = (flushing){.data = (char *)data + offset - before, .length = (size_t)(length + before), .held = held};
  return task_start(env, "msync", flush_now, it, -1, flushing_release);
}

bool naru_init_shared_memory(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      NARU_METHOD("systemVShmGet", get),           NARU_METHOD("systemVShmAttach", attach), NARU_METHOD("systemVShmStat", stat_segment),
      NARU_METHOD("systemVShmRemove", remove_segment), NARU_METHOD("flushAsync", flush_async),
  };
  return NARU_DEFINE(env, exports, properties);
}
