#include "signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum { numbers = 65 };

static struct sigaction old_actions[numbers];
// Only lock-free atomics may be touched in a handler.
static atomic_int noted;
static atomic_ullong noted_at;
static atomic_ullong first_arrivals[numbers];
// For so many nanoseconds the same signal counts as one.
static const unsigned long long echo = 500000000ull;

static void note(int number) {
  int old_errno = errno;
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  unsigned long long time =
      (unsigned long long)now.tv_sec * 1000000000ull + (unsigned long long)now.tv_nsec;
  unsigned long long first = 0;
  if (!atomic_compare_exchange_strong(&first_arrivals[number], &first, time)) {
    // The same one again means it: whatever the program is doing, it ends now. Another one may only
    // be the next stage of a shutdown that is under way; and who signals a process and then its group
    // sends one signal twice.
    if (time - first > echo) {
      signal(number, SIG_DFL);
      raise(number);
    }
  } else if (atomic_load(&noted) == 0) {
    // The time first: whoever sees the number sees it as well.
    atomic_store(&noted_at, time);
    int none = 0;
    atomic_compare_exchange_strong(&noted, &none, number);
  }
  errno = old_errno;
}

int checkpoint_signal_catch(int number) {
  if (number < 1 || number >= numbers) return EINVAL;
  struct sigaction action = {0};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  if (sigaction(number, &action, &old_actions[number]) != 0) return errno;
  // A process may be started with its signals blocked, by a thread that had blocked them.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  return pthread_sigmask(SIG_UNBLOCK, &set, 0);
}

void checkpoint_signal_put_back(int number) {
  if (number < 1 || number >= numbers) return;
  sigaction(number, &old_actions[number], 0);
}

int checkpoint_signal_noted(uint64_t *nanoseconds) {
  int number = atomic_load(&noted);
  *nanoseconds = number == 0 ? 0 : atomic_load(&noted_at);
  return number;
}

void checkpoint_signal_clear(void) {
  for (int number = 0; number < numbers; number++) atomic_store(&first_arrivals[number], 0);
  atomic_store(&noted, 0);
}
