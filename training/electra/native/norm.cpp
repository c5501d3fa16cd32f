// LayerNorm (Ba et al. 2016) of a sum whose second part drops out in places, and its gradient.

#include <algorithm>
#include <cmath>

#include "elementwise.hpp"
#include "tiles.hpp"

namespace electra {
namespace {

struct Row;
struct Partial;

constexpr Count kPart = 128;  // rows whose gradients one thread sums, so that sums do not depend on their number

// Calls visit(column, stays) for each 16 columns of a row.
template <class Visit>
void each_column(const Dropout& dropout, Count row, Count width, Visit visit) {
  for (Count first = 0; first < width; first += Dropout::kValues) {
    __mmask64 stays = dropout.stays(row * Dropout::draws(width) + first / Dropout::kValues);
    for (Count column = first; column < std::min(width, first + Dropout::kValues); column += kEdge, stays >>= kEdge)
      visit(column, __mmask16(stays));
  }
}

__m512 summed(const bfloat16* residual, const bfloat16* branch, __mmask16 stays, const Dropout& dropout) {
  return _mm512_add_ps(load(residual), _mm512_maskz_mul_ps(stays, load(branch), _mm512_set1_ps(dropout.scale)));
}

}  // namespace

extern "C" {

// output = LayerNorm(residual + dropout(branch)), each [rows, width]; statistics [rows, 2]: mean and reciprocal of
// the deviation.
void electra_add_norm(const bfloat16* residual, const bfloat16* branch, const float* weight, const float* bias,
                      bfloat16* output, float* statistics, Count rows, Count width, float epsilon, int threshold,
                      std::uint64_t seed, int threads) {
  const Dropout dropout(seed, threshold);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    TileRegisters registers;
    float* sums = scratch<Row, float>(2 * width);
#pragma omp for schedule(static)
    for (Count row = 0; row < rows; ++row) {
      const Count at = row * width;
      __m512 total = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
      each_column(dropout, row, width, [&](Count column, __mmask16 stays) {
        const __m512 x = summed(residual + at + column, branch + at + column, stays, dropout);
        _mm512_store_ps(sums + column, x);
        total = _mm512_add_ps(total, x);
      });
      const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(total) / float(width));
      for (Count column = 0; column < width; column += kEdge) {
        const __m512 difference = _mm512_sub_ps(_mm512_load_ps(sums + column), mean);
        squares = _mm512_fmadd_ps(difference, difference, squares);
      }
      const float factor = 1.f / std::sqrt(_mm512_reduce_add_ps(squares) / float(width) + epsilon);
      statistics[2 * row] = _mm512_cvtss_f32(mean);
      statistics[2 * row + 1] = factor;
      for (Count column = 0; column < width; column += kEdge) {
        const __m512 difference = _mm512_sub_ps(_mm512_load_ps(sums + column), mean);
        store(output + at + column, _mm512_fmadd_ps(_mm512_mul_ps(difference, _mm512_set1_ps(factor)),
                                                    _mm512_loadu_ps(weight + column), _mm512_loadu_ps(bias + column)));
      }
    }
  }
}

// Gradients of residual and branch [rows, width], of weight and bias [width].
void electra_add_norm_gradient(const bfloat16* upstream, const bfloat16* residual, const bfloat16* branch,
                               const float* weight, const float* statistics, bfloat16* residual_gradient,
                               bfloat16* branch_gradient, float* weight_gradient, float* bias_gradient, Count rows,
                               Count width, int threshold, std::uint64_t seed, int threads) {
  const Dropout dropout(seed, threshold);
  const Count parts = (rows + kPart - 1) / kPart;
  float* partial = scratch<Partial, float>(parts * 2 * width);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    TileRegisters registers;
    float *normed = scratch<Row, float>(2 * width), *slopes = normed + width;
#pragma omp for schedule(static)
    for (Count part = 0; part < parts; ++part) {
      float *weights = partial + part * 2 * width, *biases = weights + width;
      std::fill(weights, weights + 2 * width, 0.f);
      for (Count row = part * kPart; row < std::min(rows, (part + 1) * kPart); ++row) {
        const Count at = row * width;
        const __m512 mean = _mm512_set1_ps(statistics[2 * row]), factor = _mm512_set1_ps(statistics[2 * row + 1]);
        __m512 total = _mm512_setzero_ps(), products = _mm512_setzero_ps();
        each_column(dropout, row, width, [&](Count column, __mmask16 stays) {
          const __m512 x = summed(residual + at + column, branch + at + column, stays, dropout);
          const __m512 value = _mm512_mul_ps(_mm512_sub_ps(x, mean), factor), above = load(upstream + at + column);
          const __m512 slope = _mm512_mul_ps(above, _mm512_loadu_ps(weight + column));
          _mm512_store_ps(normed + column, value);
          _mm512_store_ps(slopes + column, slope);
          total = _mm512_add_ps(total, slope);
          products = _mm512_fmadd_ps(slope, value, products);
          _mm512_store_ps(weights + column, _mm512_fmadd_ps(above, value, _mm512_load_ps(weights + column)));
          _mm512_store_ps(biases + column, _mm512_add_ps(above, _mm512_load_ps(biases + column)));
        });
        const __m512 shift = _mm512_set1_ps(_mm512_reduce_add_ps(total) / float(width));
        const __m512 tilt = _mm512_set1_ps(_mm512_reduce_add_ps(products) / float(width));
        each_column(dropout, row, width, [&](Count column, __mmask16 stays) {
          const __m512 slope = _mm512_sub_ps(_mm512_load_ps(slopes + column), shift);
          const __m512 below = _mm512_mul_ps(_mm512_fnmadd_ps(_mm512_load_ps(normed + column), tilt, slope), factor);
          store(residual_gradient + at + column, below);
          store(branch_gradient + at + column, _mm512_maskz_mul_ps(stays, below, _mm512_set1_ps(dropout.scale)));
        });
      }
    }
  }
  for (Count column = 0; column < width; column += kEdge) {
    __m512 weights = _mm512_setzero_ps(), biases = _mm512_setzero_ps();
    for (Count part = 0; part < parts; ++part) {
      weights = _mm512_add_ps(weights, _mm512_load_ps(partial + part * 2 * width + column));
      biases = _mm512_add_ps(biases, _mm512_load_ps(partial + (part * 2 + 1) * width + column));
    }
    _mm512_storeu_ps(weight_gradient + column, weights);
    _mm512_storeu_ps(bias_gradient + column, biases);
  }
}

// The factors that `each_column` gives a row of `width` values: [rows, width], for tests.
void electra_dropout_factors(float* factors, Count rows, Count width, int threshold, std::uint64_t seed, int) {
  const Dropout dropout(seed, threshold);
  for (Count row = 0; row < rows; ++row)
    each_column(dropout, row, width, [&](Count column, __mmask16 stays) {
      _mm512_storeu_ps(factors + row * width + column, _mm512_maskz_mov_ps(stays, _mm512_set1_ps(dropout.scale)));
    });
}

}  // extern "C"
}  // namespace electra
