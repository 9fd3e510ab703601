// A heap that counts, to be preloaded into a program (LD_PRELOAD): it stands in for malloc and its kin, and knows
// nothing of what the program does. A byte counts for the thread that asked for it, as many as it asked for, until
// whichever thread gives it back. When the program ends, the file that HEAP_PEAKS names gets one line a thread that had
// asked for memory and has ended: the most bytes that counted for it at once, and the thread's name.
//
// Not seen: stacks, the program's own image, and what is mapped past malloc (the packing buffers of OpenBLAS).
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// What glibc's malloc is called beneath its public names.
extern "C" {
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
void __libc_free(void* block);
}

namespace {

constexpr int kThreads = 256;  // those that come later count for the last

struct Count {
  std::atomic<std::int64_t> live{0}, peak{0};
  char name[16] = {};
};

/// Stands before every block that was handed out.
struct Header {
  void* raw;
  std::size_t bytes;
  std::int32_t thread;
  std::uint32_t mark;
};
constexpr std::uint32_t kMark = 0x68656170;
constexpr std::size_t kHeader = 32;
static_assert(sizeof(Header) <= kHeader);

Count counts[kThreads];
std::atomic<int> threads{0};
__attribute__((tls_model("initial-exec"))) thread_local int mine = -1;
pthread_key_t at_exit;

void KeepName(void* count) {
  pthread_getname_np(pthread_self(), static_cast<Count*>(count)->name, sizeof(Count::name));
}

__attribute__((constructor)) void Begin() { pthread_key_create(&at_exit, KeepName); }

__attribute__((destructor)) void Report() {
  const char* path = std::getenv("HEAP_PEAKS");
  const int file = path == nullptr ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return;
  for (int i = 0; i < std::min(threads.load(), kThreads); ++i) {
    if (counts[i].name[0] != 0) dprintf(file, "%lld %s\n", static_cast<long long>(counts[i].peak), counts[i].name);
  }
  close(file);
}

int Mine() {
  if (mine < 0) {
    mine = std::min(threads.fetch_add(1), kThreads - 1);
    if (at_exit != 0) pthread_setspecific(at_exit, &counts[mine]);
  }
  return mine;
}

void* Take(std::size_t alignment, std::size_t bytes) {
  const std::size_t before = std::max(alignment, kHeader);
  if (bytes > SIZE_MAX - before) {
    errno = ENOMEM;
    return nullptr;
  }
  void* raw = __libc_memalign(std::max<std::size_t>(alignment, 16), bytes + before);
  if (raw == nullptr) return nullptr;
  char* block = static_cast<char*>(raw) + before;
  const int thread = Mine();
  const Header header{raw, bytes, thread, kMark};
  std::memcpy(block - kHeader, &header, sizeof header);
  Count& count = counts[thread];
  const std::int64_t live = count.live.fetch_add(static_cast<std::int64_t>(bytes)) + static_cast<std::int64_t>(bytes);
  std::int64_t peak = count.peak.load();
  while (live > peak && !count.peak.compare_exchange_weak(peak, live)) {
  }
  return block;
}

Header HeaderOf(void* block) {
  Header header;
  std::memcpy(&header, static_cast<char*>(block) - kHeader, sizeof header);
  return header;
}

bool IsPower(std::size_t n) { return n != 0 && (n & (n - 1)) == 0; }

}  // namespace

extern "C" {

void* malloc(std::size_t bytes) { return Take(16, bytes); }

void free(void* block) {
  if (block == nullptr) return;
  const Header header = HeaderOf(block);
  if (header.mark != kMark) return;  // from before this library was there
  counts[header.thread].live.fetch_sub(static_cast<std::int64_t>(header.bytes));
  std::memset(static_cast<char*>(block) - kHeader, 0, kHeader);
  __libc_free(header.raw);
}

void* calloc(std::size_t n, std::size_t size) {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(n, size, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  void* block = Take(16, bytes);
  return block == nullptr ? nullptr : std::memset(block, 0, bytes);
}

void* realloc(void* block, std::size_t bytes) {
  if (block == nullptr) return Take(16, bytes);
  if (bytes == 0) {
    free(block);
    return nullptr;
  }
  void* moved = Take(16, bytes);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, block, std::min(bytes, HeaderOf(block).bytes));
  free(block);
  return moved;
}

void* reallocarray(void* block, std::size_t n, std::size_t size) {
  std::size_t bytes = 0;
  if (!__builtin_mul_overflow(n, size, &bytes)) return realloc(block, bytes);
  errno = ENOMEM;
  return nullptr;
}

void* memalign(std::size_t alignment, std::size_t bytes) { return Take(alignment, bytes); }
void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return Take(alignment, bytes); }

int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) {
  if (!IsPower(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  void* taken = Take(alignment, bytes);
  if (taken == nullptr) return ENOMEM;
  *block = taken;
  return 0;
}

std::size_t malloc_usable_size(void* block) { return block == nullptr ? 0 : HeaderOf(block).bytes; }

}  // extern "C"
