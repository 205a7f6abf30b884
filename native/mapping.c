// Memory of a file, mapped and handed to JavaScript: mmap(2), munmap(2), fallocate(2), fstat(2).
#include "naru.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

// One mapping. The memory goes when nobody uses it; this record when its buffer's finalizer has run as well, because the
// finalizer comes once, later than unmap(), and for a SharedArrayBuffer in any thread. Guarded by `lock`.
struct mapping {
  void *data;
  size_t size;
  uint32_t users;  // the buffer, and each thread that waits on it
  bool detached;   // unmap() already took the buffer's use away
  bool finalized;
  mapping *previous, *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mapping *mappings; // those whose memory is mapped

// In Node 22.23, 24.16 and 26.1, still marked experimental in the headers: one binary serves all when it is looked up.
typedef napi_status (*create_shared)(napi_env env, void *data, size_t size, void (*finalize)(void *data, void *hint),
                                     void *hint, napi_value *result);

static create_shared find_create_shared(void) {
  create_shared function;
  // POSIX's way around ISO C, which has no conversion from object to function pointer: dlsym(3).
  *(void **)&function = dlsym(RTLD_DEFAULT, "node_api_create_external_sharedarraybuffer");
  return function;
}

bool mapping_gives_shared(void) {
  return find_create_shared() != NULL;
}

static void unlink_mapping(mapping *it) {
  if (it->previous != NULL) it->previous->next = it->next;
  else mappings = it->next;
  if (it->next != NULL) it->next->previous = it->previous;
}

// With `lock` held.
static void drop_use(mapping *it) {
  it->users -= 1;
  if (it->users > 0) return;
  unlink_mapping(it);
  guard_forget(it->data);
  munmap(it->data, it->size);
}

static void finalize(mapping *it) {
  pthread_mutex_lock(&lock);
  if (!it->detached) drop_use(it);
  it->finalized = true;
  bool unused = it->users == 0;
  pthread_mutex_unlock(&lock);
  if (unused) free(it);
}

// V8 counts an external ArrayBuffer (never a SharedArrayBuffer) as memory that collecting could free, and 16 MiB a mailbox
// make it collect all the time. Shared memory is not the heap's: what V8 adds and later takes off is taken off and added here.
static void discount(napi_env env, int64_t size) {
  int64_t total;
  napi_adjust_external_memory(env, size, &total);
}

static void finalize_plain(napi_env env, void *data, void *hint) {
  (void)data;
  discount(env, (int64_t)((mapping *)hint)->size);
  finalize(hint);
}

static void finalize_shared(void *data, void *hint) {
  (void)data;
  finalize(hint);
}

// With `lock` held.
static mapping *find(void *data) {
  mapping *it = mappings;
  while (it != NULL && it->data != data) it = it->next;
  return it;
}

mapping *mapping_hold(void *data) {
  pthread_mutex_lock(&lock);
  mapping *it = find(data);
  if (it != NULL) it->users += 1;
  pthread_mutex_unlock(&lock);
  return it;
}

void mapping_release(mapping *held) {
  pthread_mutex_lock(&lock);
  drop_use(held);
  bool unused = held->users == 0 && held->finalized;
  pthread_mutex_unlock(&lock);
  if (unused) free(held);
}

static mapping *create(void *data, size_t size) {
  mapping *it = calloc(1, sizeof *it);
  if (it == NULL) return NULL;
  it->data = data;
  it->size = size;
  it->users = 1;
  pthread_mutex_lock(&lock);
  it->next = mappings;
  if (mappings != NULL) mappings->previous = it;
  mappings = it;
  pthread_mutex_unlock(&lock);
  return it;
}

napi_value mapping_wrap(napi_env env, void *data, size_t size) {
  mapping *it = create(data, size);
  if (it == NULL) {
    munmap(data, size);
    return throw_errno(env, ENOMEM, "mmap");
  }
  create_shared shared = find_create_shared();
  napi_value buffer = NULL;
  napi_status status = shared != NULL
                           ? shared(env, data, size, finalize_shared, it, &buffer)
                           : napi_create_external_arraybuffer(env, data, size, finalize_plain, it, &buffer);
  if (status == napi_ok) {
    if (shared == NULL) discount(env, -(int64_t)size);
    return buffer;
  }
  finalize(it);
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) return NULL;
  // A V8 with its sandbox on (Electron) takes no memory from outside.
  return throw_code(env, EOPNOTSUPP, "mmap",
                    status == napi_no_external_buffers_allowed ? "this runtime does not allow external buffers"
                                                               : "the buffer could not be created");
}

napi_value naru_map(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int fd;
  int64_t size;
  bool read_only;
  if (!args_read(env, info, 3, values) || !arg_fd(env, values[0], &fd) ||
      !arg_integer(env, values[1], "size", 1, (int64_t)1 << 52, &size) ||
      !arg_boolean(env, values[2], "readOnly", &read_only))
    return NULL;
  struct stat status;
  if (fstat(fd, &status) != 0) return throw_errno(env, errno, "fstat");
  // Touching a page behind the end of the file is SIGBUS, the death of the process: mmap(2).
  if (status.st_size < size) {
    char message[160];
    snprintf(message, sizeof message, "the file has %lld bytes, %lld were to be mapped", (long long)status.st_size,
             (long long)size);
    return throw_code(env, ERANGE, "mmap", message);
  }
  void *data = mmap(NULL, (size_t)size, read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return throw_errno(env, errno, "mmap");
  return mapping_wrap(env, data, (size_t)size);
}

// Takes the buffer's use away; the memory goes now, or with the last thread that waits on it.
static void detach(void *data) {
  pthread_mutex_lock(&lock);
  mapping *it = find(data);
  if (it != NULL && !it->detached) {
    it->detached = true;
    drop_use(it);
  }
  pthread_mutex_unlock(&lock);
}

napi_value naru_unmap(napi_env env, napi_callback_info info) {
  napi_value value, result;
  void *data;
  size_t length;
  bool plain = false, done = false;
  if (!args_read(env, info, 1, &value) || !arg_buffer(env, value, &data, &length)) return NULL;
  if (napi_is_arraybuffer(env, value, &plain) == napi_ok && plain) {
    if (napi_is_detached_arraybuffer(env, value, &done) == napi_ok && !done) {
      mapping *it = mapping_hold(data);
      if (it == NULL) {
        napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "buffer must be one that map() gave");
        return NULL;
      }
      // Held across the detaching, so that it cannot go from under `data` when the finalizer runs within.
      done = napi_detach_arraybuffer(env, value) == napi_ok;
      if (done) detach(data);
      mapping_release(it);
    }
  }
  napi_get_boolean(env, done, &result);
  return result;
}

napi_value naru_guard(napi_env env, napi_callback_info info) {
  napi_value value, result = NULL;
  void *data;
  size_t length;
  if (!args_read(env, info, 1, &value) || !arg_buffer(env, value, &data, &length)) return NULL;
  mapping *held = mapping_hold(data);
  if (held == NULL) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "buffer must be one that map() gave");
    return NULL;
  }
  const bool done = guard_add(data, length);
  mapping_release(held);
  napi_get_boolean(env, done, &result);
  return result;
}

napi_value naru_is_torn(napi_env env, napi_callback_info info) {
  napi_value value, result = NULL;
  void *data;
  size_t length;
  if (!args_read(env, info, 1, &value) || !arg_buffer(env, value, &data, &length)) return NULL;
  napi_get_boolean(env, guard_torn(data), &result);
  return result;
}

// Bytes that can still be had without taking them from anybody; a great number where the kernel does not say.
static uint64_t memory_left(void) {
  uint64_t kilobytes = UINT64_MAX >> 10;
  char line[128];
  FILE *file = fopen("/proc/meminfo", "re");
  if (file == NULL) return kilobytes << 10;
  while (fgets(line, sizeof line, file) != NULL && sscanf(line, "MemAvailable: %" SCNu64, &kilobytes) != 1) continue;
  fclose(file);
  return kilobytes << 10;
}

// A tmpfs takes page after page until it is full, or until there is no memory and the kernel kills whom it likes for it: what is
// plainly too much is refused before the first page. Small ranges are not worth the look.
static bool has_room(int fd, int64_t offset, int64_t length) {
  enum { LARGE_BYTES = 16 << 20 };
  struct statfs volume;
  if (length < LARGE_BYTES || fstatfs(fd, &volume) != 0 || volume.f_type != TMPFS_MAGIC) return true;
  const off_t hole = lseek(fd, offset, SEEK_HOLE);
  if (hole >= offset + length) return true; // it has its pages already
  const uint64_t left = volume.f_blocks == 0 ? UINT64_MAX : (uint64_t)volume.f_bavail * (uint64_t)volume.f_bsize;
  return (uint64_t)length <= left && (uint64_t)length <= memory_left();
}

napi_value naru_allocate(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int fd;
  int64_t offset, length;
  const int64_t most = (int64_t)1 << 52;
  if (!args_read(env, info, 3, values) || !arg_fd(env, values[0], &fd) ||
      !arg_integer(env, values[1], "offset", 0, most, &offset) ||
      !arg_integer(env, values[2], "length", 1, most, &length))
    return NULL;
  if (!has_room(fd, offset, length)) return throw_errno(env, ENOSPC, "fallocate");
  int failed;
  do failed = fallocate(fd, 0, offset, length);
  while (failed != 0 && errno == EINTR);
  return failed == 0 ? NULL : throw_errno(env, errno, "fallocate");
}

napi_value naru_file_size(napi_env env, napi_callback_info info) {
  napi_value value, result = NULL;
  int fd;
  struct stat status;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  if (fstat(fd, &status) != 0) return throw_errno(env, errno, "fstat");
  napi_create_double(env, (double)status.st_size, &result);
  return result;
}

// (fd, path): gives a file of O_TMPFILE its name. The descriptor's name under /proc leads to it without a privilege: open(2).
napi_value naru_link_file(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd;
  char path[PATH_MAX], from[40];
  if (!args_read(env, info, 2, values) || !arg_fd(env, values[0], &fd) ||
      !arg_string(env, values[1], "path", path, sizeof path))
    return NULL;
  snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
  return linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? NULL : throw_errno(env, errno, "linkat");
}
