#include "checksum.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>
#include <wmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

// Below, `state` is the register of the checksum: the value inverted.

static inline uint64_t loaded(const unsigned char *bytes) {
  uint64_t value;
  memcpy(&value, bytes, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  value = __builtin_bswap64(value);
#endif
  return value;
}

// MARK: Tables: eight bytes at a time

// tables[0][b] is the state after byte b; tables[n][b] after n more bytes of zeros.
static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t state = byte;
    for (int bit = 0; bit < 8; bit++) state = state & 1 ? state >> 1 ^ 0x82F63B78u : state >> 1;
    tables[0][byte] = state;
  }
  for (int zeros = 1; zeros < 8; zeros++) {
    for (int byte = 0; byte < 256; byte++) {
      uint32_t before = tables[zeros - 1][byte];
      tables[zeros][byte] = before >> 8 ^ tables[0][before & 0xFF];
    }
  }
}

uint32_t checkpoint_crc32c_by_tables(uint32_t crc, const void *bytes, size_t count) {
  pthread_once(&tables_once, make_tables);
  const unsigned char *next = bytes;
  uint32_t state = ~crc;
  for (; count >= 8; count -= 8, next += 8) {
    uint64_t word = loaded(next) ^ state;
    state = 0;
    for (int byte = 0; byte < 8; byte++) state ^= tables[7 - byte][word >> 8 * byte & 0xFF];
  }
  for (; count > 0; count--, next++) state = state >> 8 ^ tables[0][(state ^ *next) & 0xFF];
  return ~state;
}

// MARK: Instructions

#if defined(__x86_64__) || defined(__aarch64__)

// One instruction takes eight bytes and three cycles, and three can be under way: so three stretches are
// summed side by side. Their states are then put together: that of a stretch with `n` bytes behind it is
// multiplied by x^8n modulo the polynomial. A carry-less product of two reflected numbers of 32 bits stands
// for theirs times x, and the instruction for sums takes 64 bits times x^32 modulo the polynomial, which is
// x^33 in all. So the factors are the reflected x^(8n - 33).
enum { long_stretch = 4096, short_stretch = 256 };
#define PAST_LONG 0x82F89C77u         // n = 4096
#define PAST_TWO_LONG 0x54A86326u     // n = 8192
#define PAST_SHORT 0xB9E02B86u        // n = 256
#define PAST_TWO_SHORT 0xDD7E3B0Cu    // n = 512

#if defined(__x86_64__)
#define WITH_INSTRUCTIONS __attribute__((target("sse4.2,pclmul")))

WITH_INSTRUCTIONS static inline uint32_t summed(uint32_t state, uint64_t word) {
  return (uint32_t)_mm_crc32_u64(state, word);
}

WITH_INSTRUCTIONS static inline uint32_t summed_byte(uint32_t state, unsigned char byte) {
  return _mm_crc32_u8(state, byte);
}

WITH_INSTRUCTIONS static inline uint64_t product(uint32_t state, uint32_t factor) {
  return (uint64_t)_mm_cvtsi128_si64(
      _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)state), _mm_cvtsi32_si128((int)factor), 0));
}

static int has_instructions(void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_2) && (c & bit_PCLMUL);
}
#else
#define WITH_INSTRUCTIONS __attribute__((target("crc")))

WITH_INSTRUCTIONS static inline uint32_t summed(uint32_t state, uint64_t word) {
  return __crc32cd(state, word);
}

WITH_INSTRUCTIONS static inline uint32_t summed_byte(uint32_t state, unsigned char byte) {
  return __crc32cb(state, byte);
}

// Three times in many kilobytes: bit by bit is fast enough.
static inline uint64_t product(uint32_t state, uint32_t factor) {
  uint64_t result = 0;
  for (int bit = 0; bit < 32; bit++) result ^= factor >> bit & 1 ? (uint64_t)state << bit : 0;
  return result;
}

static int has_instructions(void) {
#if defined(__APPLE__)
  return 1;
#else
  return (getauxval(AT_HWCAP) & (1 << 7)) != 0;  // HWCAP_CRC32
#endif
}
#endif

WITH_INSTRUCTIONS static inline uint32_t three_stretches(
    uint32_t state, const unsigned char *bytes, size_t stretch, uint32_t past_one,
    uint32_t past_two) {
  uint32_t second = 0, third = 0;
  for (size_t offset = 0; offset < stretch; offset += 8) {
    state = summed(state, loaded(bytes + offset));
    second = summed(second, loaded(bytes + stretch + offset));
    third = summed(third, loaded(bytes + 2 * stretch + offset));
  }
  return summed(0, product(state, past_two) ^ product(second, past_one)) ^ third;
}

WITH_INSTRUCTIONS static uint32_t by_instructions(
    uint32_t crc, const unsigned char *next, size_t count) {
  uint32_t state = ~crc;
  for (; count >= 3 * long_stretch; count -= 3 * long_stretch, next += 3 * long_stretch)
    state = three_stretches(state, next, long_stretch, PAST_LONG, PAST_TWO_LONG);
  for (; count >= 3 * short_stretch; count -= 3 * short_stretch, next += 3 * short_stretch)
    state = three_stretches(state, next, short_stretch, PAST_SHORT, PAST_TWO_SHORT);
  for (; count >= 8; count -= 8, next += 8) state = summed(state, loaded(next));
  for (; count > 0; count--, next++) state = summed_byte(state, *next);
  return ~state;
}

#else
static int has_instructions(void) { return 0; }
#endif

int checkpoint_crc32c_has_instructions(void) {
  // 0: nobody has looked yet; 1: none; 2: there are.
  static _Atomic int answer = 0;
  int known = atomic_load_explicit(&answer, memory_order_relaxed);
  if (known == 0) {
    known = has_instructions() ? 2 : 1;
    atomic_store_explicit(&answer, known, memory_order_relaxed);
  }
  return known == 2;
}

uint32_t checkpoint_crc32c(uint32_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__) || defined(__aarch64__)
  if (checkpoint_crc32c_has_instructions()) return by_instructions(crc, bytes, count);
#endif
  return checkpoint_crc32c_by_tables(crc, bytes, count);
}
