#pragma once
#include <stddef.h>
#include <stdint.h>

// Elements of 2 and 4 bytes are taken apart into planes, one for each of their bytes, and put together again;
// the least significant byte is in plane 0. In C, since Swift compiles for the oldest x86-64 there is and cannot
// ask for more in one function. BytePlanes in CheckpointCodecs says what rotated elements are, and has the
// portable way, which does what is left here.

/// The ways, each faster than the one before: none of this; registers of 32 bytes, which x86-64 has with AVX2;
/// registers of 64 bytes, with AVX-512 F, BW and VBMI.
enum {
  checkpoint_planes_portable,
  checkpoint_planes_32_byte_registers,
  checkpoint_planes_64_byte_registers,
};

/// The fastest way that this processor has; all that come before it work as well. Asks the processor each time,
/// which takes long in a virtual machine: keep the answer.
int checkpoint_planes_best_way(void);

// Each of these takes a way that the processor has, and does the first elements of `count`, as many as fill
// whole registers; where there are bytes, they are the elements. Returns how many those are: none by the
// portable way. No memory may overlap other memory. Nothing needs to be aligned, and nothing behind `count`
// elements is read or written.

/// Takes elements apart; a plane that is NULL is not wanted.
size_t checkpoint_split2(
    int way, const void *raw, size_t count, int rotated, uint8_t *plane0, uint8_t *plane1);
size_t checkpoint_split4(
    int way, const void *raw, size_t count, int rotated, uint8_t *plane0, uint8_t *plane1,
    uint8_t *plane2, uint8_t *plane3);

/// Puts elements together.
size_t checkpoint_merge2(
    int way, const uint8_t *plane0, const uint8_t *plane1, size_t count, int rotated, void *raw);
size_t checkpoint_merge4(
    int way, const uint8_t *plane0, const uint8_t *plane1, const uint8_t *plane2,
    const uint8_t *plane3, size_t count, int rotated, void *raw);

/// Marks which bytes there are, beside those that are marked, by 1 for each.
size_t checkpoint_mark(int way, const uint8_t *bytes, size_t count, uint8_t seen[256]);

/// Adds how long the codes of the bytes are together, by the length of the code of each byte.
size_t checkpoint_add_lengths(
    int way, const uint8_t *bytes, size_t count, const uint8_t lengths[256], uint64_t *sum);
