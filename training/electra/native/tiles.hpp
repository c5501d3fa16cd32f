// Matrix products of bfloat16 numbers in the tile registers of AMX, summed in float32.
//
// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18. A tile holds 16 rows of
// 64 bytes. TDPBF16PS takes its left operand as rows of 32 numbers, and its right operand as 16 rows of pairs:
// row p holds, for each of 16 columns, the numbers 2p and 2p + 1 of the inner dimension. A packed matrix is
// made of strips, 16 rows of a left or 16 columns of a right operand, each of one tile for every 32 numbers of
// the inner dimension ("steps").

#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace electra {

using Count = std::int64_t;
using bfloat16 = std::uint16_t;

constexpr Count kEdge = 16;              // rows of a tile
constexpr Count kInner = 32;             // numbers of the inner dimension in a tile
constexpr Count kTile = kEdge * kInner;  // numbers of a tile
constexpr Count kBlock = 2 * kEdge;      // rows and columns that one `multiply` computes

// What is written before is in memory after it: GCC's intrinsics for tiles do not say what they read (PR 114098).
inline void compiler_barrier() { asm volatile("" ::: "memory"); }

// The tile registers of this thread, all of one shape, while it lives.
class TileRegisters {
 public:
  TileRegisters() {
    struct alignas(64) {
      std::uint8_t palette, start_row, reserved[14];
      std::uint16_t row_bytes[16];
      std::uint8_t rows[16];
    } shape{};
    shape.palette = 1;
    for (int tile = 0; tile < 8; ++tile) {
      shape.row_bytes[tile] = 64;
      shape.rows[tile] = kEdge;
    }
    compiler_barrier();
    _tile_loadconfig(&shape);
    _mm_setcsr(control_ | 0x8040);  // denormal numbers are zero: they take a hundred times as long
  }
  ~TileRegisters() {
    _tile_release();
    _mm_setcsr(control_);
  }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;

 private:
  const unsigned control_ = _mm_getcsr();
};

// Where the tiles of 32 rows of a left operand lie: bytes from row to row, numbers to the lower 16 rows and from
// step to step.
struct Left {
  const bfloat16* data;
  Count row_bytes, lower, step;
};

// Rows as they lie in memory, `width` numbers from one to the next.
inline Left rows_of(const bfloat16* data, Count width) { return {data, 2 * width, kEdge * width, kInner}; }

// Two packed strips.
inline Left strips_of(const bfloat16* data, Count steps) { return {data, 64, steps * kTile, kTile}; }

// result [32, 32], `width` numbers from row to row, (kAdd: +)= left [32, 32 steps] x right [32 steps, 32]; the
// right operand is two packed strips. Calls meanwhile(step) once a step: vector units are idle beside the tiles.
template <bool kAdd, class Meanwhile>
inline void multiply(Left left, const bfloat16* right, Count steps, float* result, Count width, Meanwhile meanwhile) {
  const Count row_bytes = 4 * width;
  float* lower = result + kEdge * width;
  compiler_barrier();
  if (kAdd) {
    _tile_loadd(0, result, row_bytes);
    _tile_loadd(1, result + kEdge, row_bytes);
    _tile_loadd(2, lower, row_bytes);
    _tile_loadd(3, lower + kEdge, row_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const bfloat16* second = right + steps * kTile;
  for (Count step = 0; step < steps; ++step) {
    const bfloat16* upper = left.data + step * left.step;
    _tile_loadd(4, upper, left.row_bytes);
    _tile_loadd(6, right + step * kTile, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, second + step * kTile, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, upper + left.lower, left.row_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    meanwhile(step);
  }
  _tile_stored(0, result, row_bytes);
  _tile_stored(1, result + kEdge, row_bytes);
  _tile_stored(2, lower, row_bytes);
  _tile_stored(3, lower + kEdge, row_bytes);
}

// The same for `columns` columns of a packed right operand.
template <bool kAdd>
inline void multiply(Left left, const bfloat16* right, Count steps, Count columns, float* result, Count width) {
  for (Count column = 0; column < columns; column += kBlock)
    multiply<kAdd>(left, right + column / kEdge * steps * kTile, steps, result + column, width, [](Count) {});
}

inline __m512 load(const bfloat16* from) {
  const __m256i numbers = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(numbers), 16));
}
inline __m512i narrow(__m512 first, __m512 second) { return (__m512i)_mm512_cvtne2ps_pbh(second, first); }
inline void store(bfloat16* to, __m512 numbers) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(numbers));
}
inline void store(bfloat16* to, __m512 first, __m512 second) { _mm512_storeu_si512(to, narrow(first, second)); }

// 16 x 16 numbers of 32 bits.
inline void transpose(__m512i rows[16]) {
  __m512i parts[16];
  for (int i = 0; i < 16; i += 2) {
    parts[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    parts[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(parts[i], parts[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(parts[i], parts[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(parts[i + 1], parts[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(parts[i + 1], parts[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    parts[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
    parts[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xdd);
    parts[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
    parts[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; ++i) {
    rows[i] = _mm512_shuffle_i32x4(parts[i], parts[i + 8], 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(parts[i], parts[i + 8], 0xdd);
  }
}

// 32 numbers of a row, as pairs.
inline __m512i pairs_along(const bfloat16* from) { return _mm512_loadu_si512(from); }
inline __m512i pairs_along(const float* from) { return narrow(_mm512_loadu_ps(from), _mm512_loadu_ps(from + kEdge)); }

// 16 numbers of a row, each paired with the one in the next row.
inline __m512i pairs_across(__m512i rows) {
  alignas(64) static constexpr std::uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                          8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(order), rows);
}
inline __m512i pairs_across(const bfloat16* from, Count width) {
  const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + width));
  return pairs_across(_mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1));
}
inline __m512i pairs_across(const float* from, Count width) {
  return pairs_across(narrow(_mm512_loadu_ps(from), _mm512_loadu_ps(from + width)));
}

// One strip of a right operand out of [32 steps, 16], `width` numbers from row to row.
template <class Number>
inline void pack_right(const Number* from, Count width, Count steps, bfloat16* to) {
  for (Count pair = 0; pair < steps * kEdge; ++pair)
    _mm512_store_si512(to + pair * kInner, pairs_across(from + 2 * pair * width, width));
}

// One strip of a right operand out of its transpose [16, 32 steps].
template <class Number>
inline void pack_right_transposed(const Number* from, Count width, Count steps, bfloat16* to) {
  for (Count step = 0; step < steps; ++step) {
    __m512i rows[kEdge];
    for (Count row = 0; row < kEdge; ++row) rows[row] = pairs_along(from + row * width + step * kInner);
    transpose(rows);
    for (Count row = 0; row < kEdge; ++row) _mm512_store_si512(to + step * kTile + row * kInner, rows[row]);
  }
}

// One strip of a left operand out of its transpose [32 steps, 16]. Returns `sums` plus the sums of its columns.
inline __m512 pack_left_transposed(const bfloat16* from, Count width, Count steps, bfloat16* to, __m512 sums) {
  const __m512bh ones = (__m512bh)_mm512_set1_epi16(0x3f80);
  for (Count step = 0; step < steps; ++step) {
    __m512i rows[kEdge];
    for (Count pair = 0; pair < kEdge; ++pair) {
      rows[pair] = pairs_across(from + (step * kInner + 2 * pair) * width, width);
      sums = _mm512_dpbf16_ps(sums, (__m512bh)rows[pair], ones);
    }
    transpose(rows);
    for (Count row = 0; row < kEdge; ++row) _mm512_store_si512(to + step * kTile + row * kInner, rows[row]);
  }
  return sums;
}

// Memory of this thread that is kept from call to call; one buffer for each name.
template <class Name, class Number>
Number* scratch(Count count) {
  static thread_local std::unique_ptr<void, decltype(&std::free)> memory(nullptr, &std::free);
  static thread_local Count size = 0;
  if (count > size) {
    const Count bytes = (count * Count(sizeof(Number)) + 4095) / 4096 * 4096;
    memory.reset(std::aligned_alloc(4096, bytes));
    if (!memory) std::abort();
    size = bytes / Count(sizeof(Number));
  }
  return static_cast<Number*>(memory.get());
}

}  // namespace electra
