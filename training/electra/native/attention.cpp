// Attention inside the documents of packed rows, and its gradient.
//
// Vaswani et al. 2017, section 3.2.1, one head of one row at a time, so that scores, weights and their gradients
// stay in a core's caches. The backward pass works the weights out again from the logarithms of their sums (Dao et
// al. 2022, "FlashAttention", section 3.1) and draws again what dropped out.

#include <algorithm>
#include <cmath>

#include "elementwise.hpp"
#include "tiles.hpp"

namespace electra {
namespace {

struct Keys;
struct Values;
struct KeyRows;
struct QueryRows;
struct UpstreamRows;
struct Scores;
struct Slopes;
struct Weights;
struct Differences;
struct WeightStrips;
struct DifferenceStrips;
struct Result;

struct Shape {
  Count rows, tokens, heads, size;
  Count width() const { return heads * size; }
  Count row(Count number) const { return number / heads; }
  // Of head `number` in [rows, tokens, heads, size] and in [rows, tokens, 3, heads, size].
  Count context(Count number) const { return row(number) * tokens * width() + number % heads * size; }
  Count query(Count number) const { return row(number) * tokens * 3 * width() + number % heads * size; }
};

// Which of 16 keys a query may look at: those of its own document.
__mmask16 allowed(const std::int32_t* segments, Count query, Count key) {
  if (!segments) return 0xffff;
  return _mm512_cmpeq_epi32_mask(_mm512_loadu_si512(segments + key), _mm512_set1_epi32(segments[query]));
}

// [tokens, size] as a right operand, and its transpose as one.
void pack_rows(const bfloat16* from, Count width, const Shape& shape, bfloat16* to) {
  for (Count column = 0; column < shape.size; column += kEdge)
    pack_right(from + column, width, shape.tokens / kInner, to + column * shape.tokens);
}
void pack_columns(const bfloat16* from, Count width, const Shape& shape, bfloat16* to) {
  for (Count column = 0; column < shape.tokens; column += kEdge)
    pack_right_transposed(from + column * width, width, shape.size / kInner, to + column * shape.size);
}

void store_block(const float* from, Count columns, bfloat16* to, Count width) {
  for (Count i = 0; i < kBlock; ++i)
    for (Count column = 0; column < columns; column += kBlock)
      store(to + i * width + column, _mm512_load_ps(from + i * columns + column),
            _mm512_load_ps(from + i * columns + column + kEdge));
}

// Scores of one query become its weights, dropped out; returns the logarithm of the softmax's denominator.
float soften(float* scores, const std::int32_t* segments, Count query, Count tokens, float scale,
             const Dropout& dropout, Count draw, bfloat16* weights) {
  const __m512 nothing = _mm512_set1_ps(-INFINITY);
  __m512 highest = nothing, total = _mm512_setzero_ps();
  for (Count key = 0; key < tokens; key += kEdge) {
    const __m512 score = _mm512_mask_mul_ps(nothing, allowed(segments, query, key), _mm512_load_ps(scores + key),
                                            _mm512_set1_ps(scale));
    _mm512_store_ps(scores + key, score);
    highest = _mm512_max_ps(highest, score);
  }
  const float most = _mm512_reduce_max_ps(highest);
  for (Count key = 0; key < tokens; key += kEdge) {
    const __m512 weight = exponential(_mm512_sub_ps(_mm512_load_ps(scores + key), _mm512_set1_ps(most)));
    _mm512_store_ps(scores + key, weight);
    total = _mm512_add_ps(total, weight);
  }
  const float sum = _mm512_reduce_add_ps(total);
  const __m512 factor = _mm512_set1_ps(dropout.scale / sum);
  for (Count first = 0; first < tokens; first += Dropout::kValues) {
    __mmask64 stays = dropout.stays(draw++);
    for (Count key = first; key < std::min(tokens, first + Dropout::kValues); key += kEdge, stays >>= kEdge)
      store(weights + key, _mm512_maskz_mul_ps(__mmask16(stays), _mm512_load_ps(scores + key), factor));
  }
  return most + std::log(sum);
}

// The reverse for one query: `weights` as they were, and the gradients of the scores in `differences`.
void harden(const float* scores, const float* slopes, float logarithm, float mean, const std::int32_t* segments,
            Count query, Count tokens, float scale, const Dropout& dropout, Count draw, bfloat16* weights,
            bfloat16* differences) {
  const __m512 kept = _mm512_set1_ps(dropout.scale), scales = _mm512_set1_ps(scale);
  for (Count first = 0; first < tokens; first += Dropout::kValues) {
    __mmask64 stays = dropout.stays(draw++);
    for (Count key = first; key < std::min(tokens, first + Dropout::kValues); key += kEdge, stays >>= kEdge) {
      const __m512 score = _mm512_fmsub_ps(_mm512_load_ps(scores + key), scales, _mm512_set1_ps(logarithm));
      const __m512 weight = _mm512_maskz_mov_ps(allowed(segments, query, key), exponential(score));
      const __m512 slope = _mm512_maskz_mul_ps(__mmask16(stays), _mm512_load_ps(slopes + key), kept);
      store(weights + key, _mm512_maskz_mul_ps(__mmask16(stays), weight, kept));
      store(differences + key,
            _mm512_mul_ps(_mm512_mul_ps(weight, scales), _mm512_sub_ps(slope, _mm512_set1_ps(mean))));
    }
  }
}

float inner_product(const bfloat16* left, const bfloat16* right, Count size) {
  __m512 sum = _mm512_setzero_ps();
  for (Count i = 0; i < size; i += kEdge) sum = _mm512_fmadd_ps(load(left + i), load(right + i), sum);
  return _mm512_reduce_add_ps(sum);
}

}  // namespace

extern "C" {

// projected [rows, tokens, 3, heads, size] (queries, keys, values) -> context [rows, tokens, heads, size], and
// logarithms [rows, heads, tokens] of the softmax's denominators. `segments` [rows, tokens], or null: one document.
void electra_attention(const bfloat16* projected, const std::int32_t* segments, bfloat16* context, float* logarithms,
                       Count rows, Count tokens, Count heads, Count size, int threshold, std::uint64_t seed,
                       int threads) {
  const Shape shape{rows, tokens, heads, size};
  const Count width = shape.width(), steps = tokens / kInner, draws = Dropout::draws(tokens);
  const float scale = 1.f / std::sqrt(float(size));
  const Dropout dropout(seed, threshold);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    TileRegisters registers;
    bfloat16* keys = scratch<Keys, bfloat16>(tokens * size);
    bfloat16* values = scratch<Values, bfloat16>(tokens * size);
    float* scores = scratch<Scores, float>(kBlock * tokens);
    bfloat16* weights = scratch<Weights, bfloat16>(kBlock * tokens);
    float* result = scratch<Result, float>(kBlock * size);
#pragma omp for schedule(static)
    for (Count number = 0; number < rows * heads; ++number) {
      const bfloat16* query = projected + shape.query(number);
      const std::int32_t* documents = segments ? segments + shape.row(number) * tokens : nullptr;
      pack_columns(query + width, 3 * width, shape, keys);
      pack_rows(query + 2 * width, 3 * width, shape, values);
      for (Count first = 0; first < tokens; first += kBlock) {
        multiply<false>(rows_of(query + first * 3 * width, 3 * width), keys, size / kInner, tokens, scores, tokens);
        for (Count i = 0; i < kBlock; ++i)
          logarithms[number * tokens + first + i] =
              soften(scores + i * tokens, documents, first + i, tokens, scale, dropout,
                     (number * tokens + first + i) * draws, weights + i * tokens);
        multiply<false>(rows_of(weights, tokens), values, steps, size, result, size);
        store_block(result, size, context + shape.context(number) + first * width, width);
      }
    }
  }
}

// upstream, the gradient of context -> gradient, that of projected
void electra_attention_gradient(const bfloat16* projected, const std::int32_t* segments, const bfloat16* context,
                                const float* logarithms, const bfloat16* upstream, bfloat16* gradient, Count rows,
                                Count tokens, Count heads, Count size, int threshold, std::uint64_t seed, int threads) {
  const Shape shape{rows, tokens, heads, size};
  const Count width = shape.width(), steps = tokens / kInner, draws = Dropout::draws(tokens);
  const float scale = 1.f / std::sqrt(float(size));
  const Dropout dropout(seed, threshold);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    TileRegisters registers;
    bfloat16* keys = scratch<Keys, bfloat16>(tokens * size);
    bfloat16* values = scratch<Values, bfloat16>(tokens * size);
    bfloat16* key_rows = scratch<KeyRows, bfloat16>(tokens * size);
    bfloat16* query_rows = scratch<QueryRows, bfloat16>(tokens * size);
    bfloat16* upstream_rows = scratch<UpstreamRows, bfloat16>(tokens * size);
    float* scores = scratch<Scores, float>(kBlock * tokens);
    float* slopes = scratch<Slopes, float>(kBlock * tokens);
    bfloat16* weights = scratch<Weights, bfloat16>(kBlock * tokens);
    bfloat16* differences = scratch<Differences, bfloat16>(kBlock * tokens);
    bfloat16* weight_strips = scratch<WeightStrips, bfloat16>(tokens * tokens);
    bfloat16* difference_strips = scratch<DifferenceStrips, bfloat16>(tokens * tokens);
    float* result = scratch<Result, float>(kBlock * size);
#pragma omp for schedule(static)
    for (Count number = 0; number < rows * heads; ++number) {
      const bfloat16* query = projected + shape.query(number);
      const bfloat16 *above = upstream + shape.context(number), *below = context + shape.context(number);
      bfloat16* to = gradient + shape.query(number);
      const std::int32_t* documents = segments ? segments + shape.row(number) * tokens : nullptr;
      pack_columns(query + width, 3 * width, shape, keys);
      pack_columns(query + 2 * width, 3 * width, shape, values);
      pack_rows(query, 3 * width, shape, query_rows);
      pack_rows(query + width, 3 * width, shape, key_rows);
      pack_rows(above, width, shape, upstream_rows);
      for (Count first = 0; first < tokens; first += kBlock) {
        multiply<false>(rows_of(query + first * 3 * width, 3 * width), keys, size / kInner, tokens, scores, tokens);
        multiply<false>(rows_of(above + first * width, width), values, size / kInner, tokens, slopes, tokens);
        for (Count i = 0; i < kBlock; ++i) {
          const Count token = first + i;
          harden(scores + i * tokens, slopes + i * tokens, logarithms[number * tokens + token],
                 inner_product(above + token * width, below + token * width, size), documents, token, tokens, scale,
                 dropout, (number * tokens + token) * draws, weights + i * tokens, differences + i * tokens);
        }
        multiply<false>(rows_of(differences, tokens), key_rows, steps, size, result, size);
        store_block(result, size, to + first * 3 * width, 3 * width);
        for (Count key = 0; key < tokens; key += kEdge) {
          const Count at = key * tokens + first / kInner * kTile;
          pack_left_transposed(weights + key, tokens, 1, weight_strips + at, _mm512_setzero_ps());
          pack_left_transposed(differences + key, tokens, 1, difference_strips + at, _mm512_setzero_ps());
        }
      }
      for (Count key = 0; key < tokens; key += kBlock) {
        multiply<false>(strips_of(difference_strips + key * tokens, steps), query_rows, steps, size, result, size);
        store_block(result, size, to + width + key * 3 * width, 3 * width);
        multiply<false>(strips_of(weight_strips + key * tokens, steps), upstream_rows, steps, size, result, size);
        store_block(result, size, to + 2 * width + key * 3 * width, 3 * width);
      }
    }
  }
}

}  // extern "C"
}  // namespace electra
