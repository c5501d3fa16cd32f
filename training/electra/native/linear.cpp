// Linear layers: their outputs, and the gradients of their inputs, weights and biases.

#include <algorithm>

#include "elementwise.hpp"
#include "tiles.hpp"

namespace electra {
namespace {

constexpr Count kChunk = 256;  // rows of a weight gradient multiplied at a time: the strips stay in a core's first cache

struct Packed;

// pack(column, to) packs a strip of the right operand; write(row, column, first 16, second 16) takes the results of
// left [rows, inner] x right [inner, columns], and runs beside the product of the next block.
template <class Pack, class Write>
void product(const bfloat16* left, Count rows, Count inner, Count columns, int threads, Pack pack, Write write) {
  const Count steps = inner / kInner;
  const Count rows_a_step = (kBlock + steps - 1) / steps;
  bfloat16* right = scratch<Packed, bfloat16>(inner * columns);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    TileRegisters registers;
    alignas(64) float blocks[2][kBlock * kBlock];
    Count current = 0, last_row = -1, last_column = 0;
    const auto write_rows = [&](Count from, Count to) {
      const float* block = blocks[1 - current];
      for (Count i = from; i < std::min(kBlock, to); ++i)
        write(last_row + i, last_column, _mm512_load_ps(block + i * kBlock), _mm512_load_ps(block + i * kBlock + kEdge));
    };
#pragma omp for schedule(static)
    for (Count column = 0; column < columns; column += kEdge) pack(column, right + column * inner);
#pragma omp for schedule(static)
    for (Count row = 0; row < rows; row += kBlock)
      for (Count column = 0; column < columns; column += kBlock) {
        multiply<false>(rows_of(left + row * inner, inner), right + column * inner, steps, blocks[current], kBlock,
                        [&](Count step) {
                          if (last_row >= 0) write_rows(step * rows_a_step, (step + 1) * rows_a_step);
                        });
        last_row = row;
        last_column = column;
        current = 1 - current;
      }
    if (last_row >= 0) write_rows(0, kBlock);
  }
}

}  // namespace

extern "C" {

// output [rows, outputs] = input [rows, inputs] x weight [outputs, inputs]^T + bias
void electra_linear(const bfloat16* input, const float* weight, const float* bias, bfloat16* output, Count rows,
                    Count inputs, Count outputs, int threads) {
  const auto pack = [=](Count column, bfloat16* to) {
    pack_right_transposed(weight + column * inputs, inputs, inputs / kInner, to);
  };
  product(input, rows, inputs, outputs, threads, pack, [=](Count row, Count column, __m512 first, __m512 second) {
    store(output + row * outputs + column, _mm512_add_ps(first, _mm512_loadu_ps(bias + column)),
          _mm512_add_ps(second, _mm512_loadu_ps(bias + column + kEdge)));
  });
}

// GELU of that, and its derivative there.
void electra_linear_gelu(const bfloat16* input, const float* weight, const float* bias, bfloat16* output,
                         bfloat16* slope, Count rows, Count inputs, Count outputs, int threads) {
  const auto pack = [=](Count column, bfloat16* to) {
    pack_right_transposed(weight + column * inputs, inputs, inputs / kInner, to);
  };
  product(input, rows, inputs, outputs, threads, pack, [=](Count row, Count column, __m512 first, __m512 second) {
    const Gelu left = gelu(_mm512_add_ps(first, _mm512_loadu_ps(bias + column)));
    const Gelu right = gelu(_mm512_add_ps(second, _mm512_loadu_ps(bias + column + kEdge)));
    store(output + row * outputs + column, left.value, right.value);
    store(slope + row * outputs + column, left.slope, right.slope);
  });
}

// gradient [rows, inputs] = upstream [rows, outputs] x weight [outputs, inputs], plus `added` or times `slope` where
// they are given, of the same shape.
void electra_input_gradient(const bfloat16* upstream, const float* weight, const bfloat16* added, const bfloat16* slope,
                            bfloat16* gradient, Count rows, Count inputs, Count outputs, int threads) {
  const auto pack = [=](Count column, bfloat16* to) { pack_right(weight + column, inputs, outputs / kInner, to); };
  product(upstream, rows, outputs, inputs, threads, pack, [=](Count row, Count column, __m512 first, __m512 second) {
    const Count at = row * inputs + column;
    if (added) {
      first = _mm512_add_ps(first, load(added + at));
      second = _mm512_add_ps(second, load(added + at + kEdge));
    }
    if (slope) {
      first = _mm512_mul_ps(first, load(slope + at));
      second = _mm512_mul_ps(second, load(slope + at + kEdge));
    }
    store(gradient + at, first, second);
  });
}

// weight [outputs, inputs] = upstream [rows, outputs]^T x input [rows, inputs]; bias [outputs] = the sums of upstream
void electra_weight_gradient(const bfloat16* upstream, const bfloat16* input, float* weight, float* bias, Count rows,
                             Count inputs, Count outputs, int threads) {
  bfloat16* right = scratch<Packed, bfloat16>(std::min(rows, kChunk) * inputs);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    TileRegisters registers;
    alignas(64) bfloat16 left[kBlock * kChunk];
    for (Count begin = 0; begin < rows; begin += kChunk) {
      const Count steps = std::min(kChunk, rows - begin) / kInner;
#pragma omp for schedule(static)
      for (Count column = 0; column < inputs; column += kEdge)
        pack_right(input + begin * inputs + column, inputs, steps, right + column * steps * kInner);
#pragma omp for schedule(static)
      for (Count row = 0; row < outputs; row += kBlock) {
        for (Count strip = 0; strip < kBlock; strip += kEdge) {
          float* sums = bias + row + strip;
          const __m512 before = begin ? _mm512_loadu_ps(sums) : _mm512_setzero_ps();
          _mm512_storeu_ps(sums, pack_left_transposed(upstream + begin * outputs + row + strip, outputs, steps,
                                                      left + strip * steps * kInner, before));
        }
        float* to = weight + row * inputs;
        if (begin)
          multiply<true>(strips_of(left, steps), right, steps, inputs, to, inputs);
        else
          multiply<false>(strips_of(left, steps), right, steps, inputs, to, inputs);
      }
    }
  }
}

}  // extern "C"
}  // namespace electra
