#pragma once
#include <stdint.h>

// A signal is noted, and nothing else is done in its handler: the training loop looks at the note.

/// Notes `number` when it arrives, from now on, and lets the calling thread receive it. Returns 0, or
/// the errno of what failed. Must not be called again for a number before it was put back.
int checkpoint_signal_catch(int number);

/// Puts back what `number` did before `checkpoint_signal_catch`.
void checkpoint_signal_put_back(int number);

/// The first signal that arrived since the note was cleared, or 0. `nanoseconds` is set to when, on
/// the monotonic clock.
int checkpoint_signal_noted(uint64_t *nanoseconds);

/// Clears the note.
void checkpoint_signal_clear(void);
