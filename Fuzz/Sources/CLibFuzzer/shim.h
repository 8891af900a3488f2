#ifndef CLIBFUZZER_SHIM_H
#define CLIBFUZZER_SHIM_H

#include <stddef.h>
#include <stdint.h>

// What libFuzzer's runtime provides to custom mutators; it has no header of its own.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#endif
