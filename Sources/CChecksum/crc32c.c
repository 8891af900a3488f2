#include "checksum.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
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

static uint32_t by_tables(uint32_t crc, const unsigned char *next, size_t count) {
  pthread_once(&tables_once, make_tables);
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

#endif

// MARK: Wide registers

#if defined(__x86_64__)
#define WITH_WIDE __attribute__((target("avx512f,vpclmulqdq,pclmul,sse4.2")))

// Sixteen stretches of 16 bytes at a time lie in four registers, and are multiplied by x^D to be added to what
// comes D bits behind. Of a stretch, the first 8 bytes are 64 bits further from there than the last. A product of
// reflected numbers of 64 and 32 bits, seen as one of 128, stands for theirs times x^33, so that the factors are
// the reflected x^(D + 64 - 33) and x^(D - 33). As V. Gopal and others, "Fast CRC Computation for Generic
// Polynomials Using PCLMULQDQ Instruction", 2009, with four times its width.
enum { wide_min = 512, wide_step = 256 };
#define PAST_2048 0xB9E02B86, 0xDCB17AA4
#define PAST_512 0x9E4ADDF8, 0x740EEF02
#define PAST_384 0xDDC0152B, 0x1C291D04
#define PAST_256 0xBA4FC28E, 0x3DA6D0CB
#define PAST_128 0x493C7D27, 0xF20C0DFE

WITH_WIDE static inline __m512i moved(__m512i stretches, __m512i factors, __m512i onto) {
  __m512i first = _mm512_clmulepi64_epi128(stretches, factors, 0x00);
  __m512i last = _mm512_clmulepi64_epi128(stretches, factors, 0x11);
  return _mm512_xor_si512(_mm512_xor_si512(first, last), onto);
}

WITH_WIDE static uint32_t by_wide_registers(
    uint32_t crc, const unsigned char *next, size_t count) {
  if (count < wide_min) return by_instructions(crc, next, count);
  __m512i sums[4];
  for (int i = 0; i < 4; i++) sums[i] = _mm512_loadu_si512(next + 64 * i);
  sums[0] = _mm512_xor_si512(sums[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)~crc)));
  next += wide_step;
  count -= wide_step;
  __m512i factors = _mm512_set_epi64(
      PAST_2048, PAST_2048, PAST_2048, PAST_2048);
  for (; count >= wide_step; count -= wide_step, next += wide_step)
    for (int i = 0; i < 4; i++)
      sums[i] = moved(sums[i], factors, _mm512_loadu_si512(next + 64 * i));

  factors = _mm512_set_epi64(PAST_512, PAST_512, PAST_512, PAST_512);
  __m512i sum = sums[0];
  for (int i = 1; i < 4; i++) sum = moved(sum, factors, sums[i]);
  for (; count >= 64; count -= 64, next += 64)
    sum = moved(sum, factors, _mm512_loadu_si512(next));

  // The last stretch stays where it is.
  __m512i ends = moved(
      sum, _mm512_set_epi64(0, 0, PAST_128, PAST_256, PAST_384),
      _mm512_maskz_mov_epi64(0xC0, sum));
  __m256i half = _mm256_xor_si256(
      _mm512_castsi512_si256(ends), _mm512_extracti64x4_epi64(ends, 1));
  __m128i quarter =
      _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  uint32_t state = summed(0, (uint64_t)_mm_cvtsi128_si64(quarter));
  state = summed(state, (uint64_t)_mm_extract_epi64(quarter, 1));
  return by_instructions(~state, next, count);
}
#endif

// MARK: What this processor has

#if defined(__x86_64__)
// Whether the system keeps the wide registers of each thread.
__attribute__((target("xsave"))) static int keeps_wide_registers(void) {
  return (_xgetbv(0) & 0xE6) == 0xE6;
}

static int best_way(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_2) || !(c & bit_PCLMUL))
    return checkpoint_crc32c_tables;
  if (!(c & bit_OSXSAVE) || !keeps_wide_registers()) return checkpoint_crc32c_instructions;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX512F) || !(c & bit_VPCLMULQDQ))
    return checkpoint_crc32c_instructions;
  return checkpoint_crc32c_wide_registers;
}
#elif defined(__aarch64__)
static int best_way(void) {
#if defined(__APPLE__)
  return checkpoint_crc32c_instructions;
#else
  return getauxval(AT_HWCAP) & (1 << 7) ? checkpoint_crc32c_instructions  // HWCAP_CRC32
                                        : checkpoint_crc32c_tables;
#endif
}
#else
static int best_way(void) { return checkpoint_crc32c_tables; }
#endif

int checkpoint_crc32c_best_way(void) {
  // -1: nobody has looked yet.
  static _Atomic int answer = -1;
  int known = atomic_load_explicit(&answer, memory_order_relaxed);
  if (known < 0) {
    known = best_way();
    atomic_store_explicit(&answer, known, memory_order_relaxed);
  }
  return known;
}

uint32_t checkpoint_crc32c_by(int way, uint32_t crc, const void *bytes, size_t count) {
  switch (way) {
#if defined(__x86_64__)
  case checkpoint_crc32c_wide_registers: return by_wide_registers(crc, bytes, count);
#endif
#if defined(__x86_64__) || defined(__aarch64__)
  case checkpoint_crc32c_instructions: return by_instructions(crc, bytes, count);
#endif
  default: return by_tables(crc, bytes, count);
  }
}

uint32_t checkpoint_crc32c(uint32_t crc, const void *bytes, size_t count) {
  return checkpoint_crc32c_by(checkpoint_crc32c_best_way(), crc, bytes, count);
}
