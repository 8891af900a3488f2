#include "planes.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

// Rotated by two shifts whose counts are variables. A shift by all bits of a lane, or more, leaves zeros: so
// 0 to one side and all bits to the other is no rotation.

// MARK: Registers of 32 bytes
//
// Most instructions do the same in both halves of a register, and few move anything from one to the other.

#define WITH_32 __attribute__((target("avx2")))

WITH_32 static inline __m256i loaded32(const void *bytes) {
  return _mm256_loadu_si256((const __m256i *)bytes);
}

WITH_32 static inline void store32(void *bytes, __m256i value) {
  _mm256_storeu_si256((__m256i *)bytes, value);
}

WITH_32 static inline void keep32(uint8_t *plane, size_t index, __m256i bytes) {
  if (plane) store32(plane + index, bytes);
}

WITH_32 static inline __m256i shifted2_32(__m256i words, __m128i left, __m128i right) {
  return _mm256_or_si256(_mm256_sll_epi16(words, left), _mm256_srl_epi16(words, right));
}

WITH_32 static inline __m256i shifted4_32(__m256i words, __m128i left, __m128i right) {
  return _mm256_or_si256(_mm256_sll_epi32(words, left), _mm256_srl_epi32(words, right));
}

// The lower halves of two registers, and the upper ones.
#define LOWER_HALVES 0x20
#define UPPER_HALVES 0x31

WITH_32 static size_t split2_32(
    const uint8_t *raw, size_t count, int rotated, uint8_t *plane0, uint8_t *plane1) {
  const __m128i left = _mm_cvtsi32_si128(rotated ? 1 : 0);
  const __m128i right = _mm_cvtsi32_si128(rotated ? 15 : 16);
  const __m256i low_byte = _mm256_set1_epi16(0xFF);
  size_t index = 0;
  for (; count - index >= 32; index += 32) {
    __m256i a = shifted2_32(loaded32(raw + 2 * index), left, right);
    __m256i b = shifted2_32(loaded32(raw + 2 * index + 32), left, right);
    // Packed half by half: a quarter of a, one of b, and again.
    __m256i low = _mm256_packus_epi16(_mm256_and_si256(a, low_byte), _mm256_and_si256(b, low_byte));
    __m256i high = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
    keep32(plane0, index, _mm256_permute4x64_epi64(low, 0xD8));
    keep32(plane1, index, _mm256_permute4x64_epi64(high, 0xD8));
  }
  return index;
}

// Eight elements: a quarter of the result for each plane.
WITH_32 static inline __m256i quarters(const uint8_t *raw, __m128i left, __m128i right) {
  const __m256i by_plane = _mm256_setr_epi8(
      0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
      0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m256i bytes = _mm256_shuffle_epi8(shifted4_32(loaded32(raw), left, right), by_plane);
  return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

WITH_32 static size_t split4_32(
    const uint8_t *raw, size_t count, int rotated, uint8_t *plane0, uint8_t *plane1,
    uint8_t *plane2, uint8_t *plane3) {
  const __m128i left = _mm_cvtsi32_si128(rotated ? 1 : 0);
  const __m128i right = _mm_cvtsi32_si128(rotated ? 31 : 32);
  size_t index = 0;
  for (; count - index >= 32; index += 32) {
    const uint8_t *next = raw + 4 * index;
    __m256i a = quarters(next, left, right), b = quarters(next + 32, left, right);
    __m256i c = quarters(next + 64, left, right), d = quarters(next + 96, left, right);
    __m256i even_ab = _mm256_unpacklo_epi64(a, b), odd_ab = _mm256_unpackhi_epi64(a, b);
    __m256i even_cd = _mm256_unpacklo_epi64(c, d), odd_cd = _mm256_unpackhi_epi64(c, d);
    keep32(plane0, index, _mm256_permute2x128_si256(even_ab, even_cd, LOWER_HALVES));
    keep32(plane1, index, _mm256_permute2x128_si256(odd_ab, odd_cd, LOWER_HALVES));
    keep32(plane2, index, _mm256_permute2x128_si256(even_ab, even_cd, UPPER_HALVES));
    keep32(plane3, index, _mm256_permute2x128_si256(odd_ab, odd_cd, UPPER_HALVES));
  }
  return index;
}

WITH_32 static size_t merge2_32(
    const uint8_t *plane0, const uint8_t *plane1, size_t count, int rotated, uint8_t *raw) {
  const __m128i left = _mm_cvtsi32_si128(rotated ? 15 : 16);
  const __m128i right = _mm_cvtsi32_si128(rotated ? 1 : 0);
  size_t index = 0;
  for (; count - index >= 32; index += 32) {
    __m256i low = loaded32(plane0 + index), high = loaded32(plane1 + index);
    __m256i a = shifted2_32(_mm256_unpacklo_epi8(low, high), left, right);
    __m256i b = shifted2_32(_mm256_unpackhi_epi8(low, high), left, right);
    store32(raw + 2 * index, _mm256_permute2x128_si256(a, b, LOWER_HALVES));
    store32(raw + 2 * index + 32, _mm256_permute2x128_si256(a, b, UPPER_HALVES));
  }
  return index;
}

WITH_32 static size_t merge4_32(
    const uint8_t *plane0, const uint8_t *plane1, const uint8_t *plane2, const uint8_t *plane3,
    size_t count, int rotated, uint8_t *raw) {
  const __m128i left = _mm_cvtsi32_si128(rotated ? 31 : 32);
  const __m128i right = _mm_cvtsi32_si128(rotated ? 1 : 0);
  size_t index = 0;
  for (; count - index >= 32; index += 32) {
    __m256i byte0 = loaded32(plane0 + index), byte1 = loaded32(plane1 + index);
    __m256i byte2 = loaded32(plane2 + index), byte3 = loaded32(plane3 + index);
    __m256i low = _mm256_unpacklo_epi8(byte0, byte1), high = _mm256_unpacklo_epi8(byte2, byte3);
    __m256i a = shifted4_32(_mm256_unpacklo_epi16(low, high), left, right);
    __m256i b = shifted4_32(_mm256_unpackhi_epi16(low, high), left, right);
    low = _mm256_unpackhi_epi8(byte0, byte1);
    high = _mm256_unpackhi_epi8(byte2, byte3);
    __m256i c = shifted4_32(_mm256_unpacklo_epi16(low, high), left, right);
    __m256i d = shifted4_32(_mm256_unpackhi_epi16(low, high), left, right);
    uint8_t *next = raw + 4 * index;
    store32(next, _mm256_permute2x128_si256(a, b, LOWER_HALVES));
    store32(next + 32, _mm256_permute2x128_si256(c, d, LOWER_HALVES));
    store32(next + 64, _mm256_permute2x128_si256(a, b, UPPER_HALVES));
    store32(next + 96, _mm256_permute2x128_si256(c, d, UPPER_HALVES));
  }
  return index;
}

// MARK: Registers of 64 bytes
//
// One instruction takes any bytes or words of two registers, by numbers that count through both.

#define WITH_64 __attribute__((target("avx512f,avx512bw,avx512vbmi")))

WITH_64 static inline void keep64(uint8_t *plane, size_t index, __m512i bytes) {
  if (plane) _mm512_storeu_si512(plane + index, bytes);
}

WITH_64 static inline __m512i shifted2_64(__m512i words, __m512i left, __m512i right) {
  return _mm512_or_si512(_mm512_sllv_epi16(words, left), _mm512_srlv_epi16(words, right));
}

// Of both registers, every second byte from the first or second on.
WITH_64 static inline __m512i every_second_byte(int first) {
  uint8_t numbers[64];
  for (int i = 0; i < 64; i++) numbers[i] = (uint8_t)(2 * i + first);
  return _mm512_loadu_si512(numbers);
}

WITH_64 static inline __m512i every_second_word(int first) {
  uint16_t numbers[32];
  for (int i = 0; i < 32; i++) numbers[i] = (uint16_t)(2 * i + first);
  return _mm512_loadu_si512(numbers);
}

// A byte of the one register and a byte of the other by turns, from their lower or upper halves.
WITH_64 static inline __m512i bytes_by_turns(int first) {
  uint8_t numbers[64];
  for (int i = 0; i < 64; i++) numbers[i] = (uint8_t)(first + i / 2 + i % 2 * 64);
  return _mm512_loadu_si512(numbers);
}

WITH_64 static inline __m512i words_by_turns(int first) {
  uint16_t numbers[32];
  for (int i = 0; i < 32; i++) numbers[i] = (uint16_t)(first + i / 2 + i % 2 * 32);
  return _mm512_loadu_si512(numbers);
}

WITH_64 static size_t split2_64(
    const uint8_t *raw, size_t count, int rotated, uint8_t *plane0, uint8_t *plane1) {
  const __m512i left = _mm512_set1_epi16(rotated ? 1 : 0);
  const __m512i right = _mm512_set1_epi16(rotated ? 15 : 16);
  const __m512i even = every_second_byte(0), odd = every_second_byte(1);
  size_t index = 0;
  for (; count - index >= 64; index += 64) {
    __m512i a = shifted2_64(_mm512_loadu_si512(raw + 2 * index), left, right);
    __m512i b = shifted2_64(_mm512_loadu_si512(raw + 2 * index + 64), left, right);
    keep64(plane0, index, _mm512_permutex2var_epi8(a, even, b));
    keep64(plane1, index, _mm512_permutex2var_epi8(a, odd, b));
  }
  return index;
}

WITH_64 static size_t split4_64(
    const uint8_t *raw, size_t count, int rotated, uint8_t *plane0, uint8_t *plane1,
    uint8_t *plane2, uint8_t *plane3) {
  const __m512i left = _mm512_set1_epi32(rotated ? 1 : 0);
  const __m512i even_words = every_second_word(0), odd_words = every_second_word(1);
  const __m512i even = every_second_byte(0), odd = every_second_byte(1);
  size_t index = 0;
  for (; count - index >= 64; index += 64) {
    const uint8_t *next = raw + 4 * index;
    __m512i a = _mm512_rolv_epi32(_mm512_loadu_si512(next), left);
    __m512i b = _mm512_rolv_epi32(_mm512_loadu_si512(next + 64), left);
    __m512i c = _mm512_rolv_epi32(_mm512_loadu_si512(next + 128), left);
    __m512i d = _mm512_rolv_epi32(_mm512_loadu_si512(next + 192), left);
    __m512i ab = _mm512_permutex2var_epi16(a, even_words, b);
    __m512i cd = _mm512_permutex2var_epi16(c, even_words, d);
    keep64(plane0, index, _mm512_permutex2var_epi8(ab, even, cd));
    keep64(plane1, index, _mm512_permutex2var_epi8(ab, odd, cd));
    ab = _mm512_permutex2var_epi16(a, odd_words, b);
    cd = _mm512_permutex2var_epi16(c, odd_words, d);
    keep64(plane2, index, _mm512_permutex2var_epi8(ab, even, cd));
    keep64(plane3, index, _mm512_permutex2var_epi8(ab, odd, cd));
  }
  return index;
}

WITH_64 static size_t merge2_64(
    const uint8_t *plane0, const uint8_t *plane1, size_t count, int rotated, uint8_t *raw) {
  const __m512i left = _mm512_set1_epi16(rotated ? 15 : 16);
  const __m512i right = _mm512_set1_epi16(rotated ? 1 : 0);
  const __m512i lower = bytes_by_turns(0), upper = bytes_by_turns(32);
  size_t index = 0;
  for (; count - index >= 64; index += 64) {
    __m512i low = _mm512_loadu_si512(plane0 + index), high = _mm512_loadu_si512(plane1 + index);
    __m512i a = _mm512_permutex2var_epi8(low, lower, high);
    __m512i b = _mm512_permutex2var_epi8(low, upper, high);
    _mm512_storeu_si512(raw + 2 * index, shifted2_64(a, left, right));
    _mm512_storeu_si512(raw + 2 * index + 64, shifted2_64(b, left, right));
  }
  return index;
}

WITH_64 static size_t merge4_64(
    const uint8_t *plane0, const uint8_t *plane1, const uint8_t *plane2, const uint8_t *plane3,
    size_t count, int rotated, uint8_t *raw) {
  const __m512i right = _mm512_set1_epi32(rotated ? 1 : 0);
  const __m512i byte_turns[2] = {bytes_by_turns(0), bytes_by_turns(32)};
  const __m512i word_turns[2] = {words_by_turns(0), words_by_turns(16)};
  size_t index = 0;
  for (; count - index >= 64; index += 64) {
    __m512i byte0 = _mm512_loadu_si512(plane0 + index), byte1 = _mm512_loadu_si512(plane1 + index);
    __m512i byte2 = _mm512_loadu_si512(plane2 + index), byte3 = _mm512_loadu_si512(plane3 + index);
    uint8_t *next = raw + 4 * index;
    for (int half = 0; half < 2; half++) {
      __m512i low = _mm512_permutex2var_epi8(byte0, byte_turns[half], byte1);
      __m512i high = _mm512_permutex2var_epi8(byte2, byte_turns[half], byte3);
      for (int quarter = 0; quarter < 2; quarter++, next += 64) {
        __m512i elements = _mm512_permutex2var_epi16(low, word_turns[quarter], high);
        _mm512_storeu_si512(next, _mm512_rorv_epi32(elements, right));
      }
    }
  }
  return index;
}

// MARK: What this processor has

// What the system keeps of each thread.
__attribute__((target("xsave"))) static unsigned kept_state(void) { return (unsigned)_xgetbv(0); }

int checkpoint_planes_best_way(void) {
  const unsigned wide = 0x06, wider = 0xE6;
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return checkpoint_planes_portable;
  unsigned kept = kept_state();
  if ((kept & wide) != wide || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2))
    return checkpoint_planes_portable;
  if ((kept & wider) != wider || !(b & bit_AVX512F) || !(b & bit_AVX512BW) || !(c & bit_AVX512VBMI))
    return checkpoint_planes_32_byte_registers;
  return checkpoint_planes_64_byte_registers;
}
#else
int checkpoint_planes_best_way(void) { return checkpoint_planes_portable; }
#endif

// MARK: By one of the ways

size_t checkpoint_split2(
    int way, const void *raw, size_t count, int rotated, uint8_t *plane0, uint8_t *plane1) {
  switch (way) {
#if defined(__x86_64__)
  case checkpoint_planes_64_byte_registers: return split2_64(raw, count, rotated, plane0, plane1);
  case checkpoint_planes_32_byte_registers: return split2_32(raw, count, rotated, plane0, plane1);
#endif
  default: return 0;
  }
}

size_t checkpoint_split4(
    int way, const void *raw, size_t count, int rotated, uint8_t *plane0, uint8_t *plane1,
    uint8_t *plane2, uint8_t *plane3) {
  switch (way) {
#if defined(__x86_64__)
  case checkpoint_planes_64_byte_registers:
    return split4_64(raw, count, rotated, plane0, plane1, plane2, plane3);
  case checkpoint_planes_32_byte_registers:
    return split4_32(raw, count, rotated, plane0, plane1, plane2, plane3);
#endif
  default: return 0;
  }
}

size_t checkpoint_merge2(
    int way, const uint8_t *plane0, const uint8_t *plane1, size_t count, int rotated, void *raw) {
  switch (way) {
#if defined(__x86_64__)
  case checkpoint_planes_64_byte_registers: return merge2_64(plane0, plane1, count, rotated, raw);
  case checkpoint_planes_32_byte_registers: return merge2_32(plane0, plane1, count, rotated, raw);
#endif
  default: return 0;
  }
}

size_t checkpoint_merge4(
    int way, const uint8_t *plane0, const uint8_t *plane1, const uint8_t *plane2,
    const uint8_t *plane3, size_t count, int rotated, void *raw) {
  switch (way) {
#if defined(__x86_64__)
  case checkpoint_planes_64_byte_registers:
    return merge4_64(plane0, plane1, plane2, plane3, count, rotated, raw);
  case checkpoint_planes_32_byte_registers:
    return merge4_32(plane0, plane1, plane2, plane3, count, rotated, raw);
#endif
  default: return 0;
  }
}
