#include "planes.h"

#if defined(__x86_64__)
#include <immintrin.h>

// MARK: Registers of 32 bytes
//
// A table of 256 entries is 16 rows, by the upper half of a byte; a shuffle finds the entry of the lower half in
// one row. It finds 0 for a byte whose highest bit is set.

#define WITH_32 __attribute__((target("avx2")))

WITH_32 static inline __m256i loaded32(const void *bytes) {
  return _mm256_loadu_si256((const __m256i *)bytes);
}

WITH_32 static inline __m256i row32(const uint8_t *row) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)row));
}

// Of each lower half of a byte, a bit for each upper half with which it is there: from 0 to 7, and from 8 on.
static void fill_bits(const uint8_t seen[256], uint8_t bits[2][16]) {
  for (int byte = 0; byte < 256; byte++) {
    if (byte < 16) bits[0][byte] = bits[1][byte] = 0;
    if (seen[byte]) bits[byte >> 7][byte & 15] |= (uint8_t)(1 << (byte >> 4 & 7));
  }
}

WITH_32 static size_t mark_32(const uint8_t *bytes, size_t count, uint8_t seen[256]) {
  const __m256i bit_of_upper_half = _mm256_setr_epi8(
      1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128,
      1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const __m256i half = _mm256_set1_epi8(15), highest_bit = _mm256_set1_epi8(-128);
  uint8_t bits[2][16];
  fill_bits(seen, bits);
  __m256i low = row32(bits[0]), high = row32(bits[1]);
  size_t index = 0;
  for (; count - index >= 32; index += 32) {
    __m256i value = loaded32(bytes + index);
    __m256i there = _mm256_or_si256(
        _mm256_shuffle_epi8(low, value),
        _mm256_shuffle_epi8(high, _mm256_xor_si256(value, highest_bit)));
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(value, 4), half);
    __m256i wanted = _mm256_shuffle_epi8(bit_of_upper_half, upper);
    __m256i missing = _mm256_cmpeq_epi8(_mm256_and_si256(there, wanted), _mm256_setzero_si256());
    if (_mm256_testz_si256(missing, missing)) continue;
    for (int i = 0; i < 32; i++) seen[bytes[index + i]] = 1;
    fill_bits(seen, bits);
    low = row32(bits[0]);
    high = row32(bits[1]);
  }
  return index;
}

// The sums of 8 bytes each, added.
WITH_32 static inline uint64_t total32(__m256i sums) {
  __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  return (uint64_t)_mm_cvtsi128_si64(half) + (uint64_t)_mm_extract_epi64(half, 1);
}

WITH_32 static size_t add_32(
    const uint8_t *bytes, size_t count, const uint8_t lengths[256], uint64_t *sum) {
  const __m256i half = _mm256_set1_epi8(15);
  // The rows that hold more than zeros, which are few for the exponents of floats.
  __m256i rows[16], numbers[16];
  int row_count = 0;
  for (int row = 0; row < 16; row++) {
    int is_needed = 0;
    for (int i = 0; i < 16; i++) is_needed |= lengths[16 * row + i];
    if (!is_needed) continue;
    rows[row_count] = row32(lengths + 16 * row);
    numbers[row_count++] = _mm256_set1_epi8((char)row);
  }
  __m256i sums = _mm256_setzero_si256();
  size_t index = 0;
  for (; count - index >= 32; index += 32) {
    __m256i value = loaded32(bytes + index);
    __m256i lower = _mm256_and_si256(value, half);
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(value, 4), half);
    __m256i found = _mm256_setzero_si256();
    for (int row = 0; row < row_count; row++) {
      __m256i entries = _mm256_shuffle_epi8(rows[row], lower);
      found = _mm256_or_si256(
          found, _mm256_and_si256(entries, _mm256_cmpeq_epi8(upper, numbers[row])));
    }
    sums = _mm256_add_epi64(sums, _mm256_sad_epu8(found, _mm256_setzero_si256()));
  }
  *sum += total32(sums);
  return index;
}

// MARK: Registers of 64 bytes
//
// A table of 256 entries is four registers, two of which are looked up at once.

#define WITH_64 __attribute__((target("avx512f,avx512bw,avx512vbmi")))

typedef struct {
  __m512i quarters[4];
} table64;

WITH_64 static inline table64 loaded_table(const uint8_t entries[256]) {
  table64 table;
  for (int i = 0; i < 4; i++) table.quarters[i] = _mm512_loadu_si512(entries + 64 * i);
  return table;
}

WITH_64 static inline __m512i looked_up(const table64 *table, __m512i value) {
  __m512i low = _mm512_permutex2var_epi8(table->quarters[0], value, table->quarters[1]);
  __m512i high = _mm512_permutex2var_epi8(table->quarters[2], value, table->quarters[3]);
  return _mm512_mask_blend_epi8(_mm512_movepi8_mask(value), low, high);
}

WITH_64 static size_t mark_64(const uint8_t *bytes, size_t count, uint8_t seen[256]) {
  table64 table = loaded_table(seen);
  size_t index = 0;
  for (; count - index >= 64; index += 64) {
    __m512i there = looked_up(&table, _mm512_loadu_si512(bytes + index));
    if (!_mm512_testn_epi8_mask(there, there)) continue;
    for (int i = 0; i < 64; i++) seen[bytes[index + i]] = 1;
    table = loaded_table(seen);
  }
  return index;
}

WITH_64 static size_t add_64(
    const uint8_t *bytes, size_t count, const uint8_t lengths[256], uint64_t *sum) {
  const table64 table = loaded_table(lengths);
  __m512i sums = _mm512_setzero_si512();
  size_t index = 0;
  for (; count - index >= 64; index += 64) {
    __m512i found = looked_up(&table, _mm512_loadu_si512(bytes + index));
    sums = _mm512_add_epi64(sums, _mm512_sad_epu8(found, _mm512_setzero_si512()));
  }
  *sum += (uint64_t)_mm512_reduce_add_epi64(sums);
  return index;
}
#endif

// MARK: By one of the ways

size_t checkpoint_mark(int way, const uint8_t *bytes, size_t count, uint8_t seen[256]) {
  switch (way) {
#if defined(__x86_64__)
  case checkpoint_planes_64_byte_registers: return mark_64(bytes, count, seen);
  case checkpoint_planes_32_byte_registers: return mark_32(bytes, count, seen);
#endif
  default: return 0;
  }
}

size_t checkpoint_add_lengths(
    int way, const uint8_t *bytes, size_t count, const uint8_t lengths[256], uint64_t *sum) {
  switch (way) {
#if defined(__x86_64__)
  case checkpoint_planes_64_byte_registers: return add_64(bytes, count, lengths, sum);
  case checkpoint_planes_32_byte_registers: return add_32(bytes, count, lengths, sum);
#endif
  default: return 0;
  }
}
