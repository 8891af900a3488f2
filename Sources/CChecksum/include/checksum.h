#pragma once
#include <stddef.h>
#include <stdint.h>

// CRC-32C: reflected polynomial 0x82F63B78, initial and final inversion (RFC 3720, section 12.1, and
// appendix B.4 for its test vectors). In C, since Swift has no names for the instructions.

/// Continues the checksum `crc`, which is 0 before the first byte, over `count` bytes, by the fastest way
/// that this processor has. Safe to call from any thread.
uint32_t checkpoint_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same by tables alone.
uint32_t checkpoint_crc32c_by_tables(uint32_t crc, const void *bytes, size_t count);

/// Whether this processor has instructions for it.
int checkpoint_crc32c_has_instructions(void);
