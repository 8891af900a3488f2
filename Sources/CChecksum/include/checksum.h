#pragma once
#include <stddef.h>
#include <stdint.h>

// CRC-32C: reflected polynomial 0x82F63B78, initial and final inversion (RFC 3720, section 12.1, and
// appendix B.4 for its test vectors). In C, since Swift has no names for the instructions.

/// Continues the checksum `crc`, which is 0 before the first byte, over `count` bytes, by the fastest way
/// that this processor has. Safe to call from any thread.
uint32_t checkpoint_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The ways, each faster than the one before: tables; the instructions for this checksum; products without carry
/// of registers of 64 bytes, which x86-64 has with AVX-512.
enum {
  checkpoint_crc32c_tables,
  checkpoint_crc32c_instructions,
  checkpoint_crc32c_wide_registers,
};

/// The fastest way that this processor has; all that come before it work as well.
int checkpoint_crc32c_best_way(void);

/// The checksum by one of these ways, which the processor must have.
uint32_t checkpoint_crc32c_by(int way, uint32_t crc, const void *bytes, size_t count);
