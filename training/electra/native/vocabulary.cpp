// The generator's loss over the vocabulary, the replacements drawn from the same softmax, and the gradients, without
// the logits of all positions ever being in memory: they are worked out again for the backward pass.

#include <algorithm>
#include <cmath>

#include "elementwise.hpp"
#include "tiles.hpp"

namespace electra {
namespace {

struct Hidden;
struct HiddenRows;
struct Words;
struct WordRows;
struct Tail;
struct Logits;
struct Parts;
struct Sums;
struct Slopes;
struct Strips;
struct Result;

constexpr Count kWords = 256;  // words at a time
constexpr Count kShares = 8;   // of the words, whose gradients of `hidden` are summed one after the other

Count pieces(Count words) { return (words + kWords - 1) / kWords; }
Count padded(Count rows) { return (rows + kBlock - 1) / kBlock * kBlock; }

// kWords rows of the table and their biases; beyond the vocabulary zeros, and a bias that makes a probability of 0.
struct Piece {
  const float *table, *bias;
};
Piece piece_of(const float* table, const float* bias, Count first, Count words, Count size) {
  if (first + kWords <= words) return {table + first * size, bias + first};
  float* tail = scratch<Tail, float>(kWords * (size + 1));
  float* biases = tail + kWords * size;
  const Count rest = words - first;
  std::copy(table + first * size, table + words * size, tail);
  std::fill(tail + rest * size, biases, 0.f);
  std::copy(bias + first, bias + words, biases);
  std::fill(biases + rest, biases + kWords, -INFINITY);
  return {tail, biases};
}

void pack_words(Piece piece, Count size, bfloat16* to) {
  for (Count word = 0; word < kWords; word += kEdge)
    pack_right_transposed(piece.table + word * size, size, size / kInner, to + word * size);
}

// hidden [positions, size] with rows of zeros up to a whole block.
const bfloat16* whole_blocks(const bfloat16* hidden, Count positions, Count size) {
  bfloat16* to = scratch<Hidden, bfloat16>(padded(positions) * size);
  std::copy(hidden, hidden + positions * size, to);
  std::fill(to + positions * size, to + padded(positions) * size, bfloat16(0));
  return to;
}

// The logits of kWords words at one position, from its row of products.
__m512 logits_of(const float* row, const float* bias, Count word) {
  return _mm512_add_ps(_mm512_load_ps(row + word), _mm512_loadu_ps(bias + word));
}

// The first place where the running sum of `sums` times exp(logarithm - most) is above `threshold`, which becomes what
// is left of it there; the last place that has anything, and infinity, where rounding leaves it above all.
Count first_above(const float* sums, const float* logarithms, Count stride, Count count, float most, float& threshold) {
  Count last = 0;
  for (Count i = 0; i < count; ++i) {
    const float share = sums[i * stride] * (logarithms ? std::exp(logarithms[i * stride] - most) : 1.f);
    if (!(share > 0.f)) continue;
    last = i;
    if (threshold < share) return i;
    threshold -= share;
  }
  threshold = INFINITY;
  return last;
}

// exp(logit - most) of the words of one piece at one position.
void weights_of(const bfloat16* hidden, Piece piece, Count size, float most, float* weights) {
  for (Count word = 0; word < kWords; ++word) {
    __m512 sum = _mm512_setzero_ps();
    for (Count i = 0; i < size; i += kInner)
      sum = _mm512_dpbf16_ps(sum, (__m512bh)pairs_along(hidden + i), (__m512bh)pairs_along(piece.table + word * size + i));
    weights[word] = std::exp(_mm512_reduce_add_ps(sum) + piece.bias[word] - most);
  }
}

}  // namespace

extern "C" {

// hidden [positions, size], table [words, size], bias [words], target [positions], uniforms [positions] in [0, 1)
// -> losses [positions], logarithms [positions] of the softmax's denominators, drawn [positions].
void electra_vocabulary_loss(const bfloat16* hidden, const float* table, const float* bias, const std::int64_t* target,
                             const float* uniforms, float* losses, float* logarithms, std::int64_t* drawn,
                             Count positions, Count words, Count size, int threads) {
  const Count count = pieces(words);
  hidden = whole_blocks(hidden, positions, size);
  // For each piece and position the largest logit, and the sum of exponentials beside it.
  float *most = scratch<Parts, float>(2 * count * positions), *sums = most + count * positions;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    TileRegisters registers;
    bfloat16* packed = scratch<Words, bfloat16>(kWords * size);
    float* logits = scratch<Logits, float>(kBlock * kWords);
#pragma omp for schedule(static)
    for (Count number = 0; number < count; ++number) {
      const Piece piece = piece_of(table, bias, number * kWords, words, size);
      pack_words(piece, size, packed);
      for (Count first = 0; first < positions; first += kBlock) {
        multiply<false>(rows_of(hidden + first * size, size), packed, size / kInner, kWords, logits, kWords);
        for (Count i = 0; i < std::min(kBlock, positions - first); ++i) {
          const float* row = logits + i * kWords;
          const Count position = first + i, word = target[position] - number * kWords;
          __m512 highest = logits_of(row, piece.bias, 0), total = _mm512_setzero_ps();
          for (Count j = kEdge; j < kWords; j += kEdge)
            highest = _mm512_max_ps(highest, logits_of(row, piece.bias, j));
          // Finite, also where all these words are impossible.
          const __m512 largest = _mm512_set1_ps(std::max(-1e30f, _mm512_reduce_max_ps(highest)));
          for (Count j = 0; j < kWords; j += kEdge)
            total = _mm512_add_ps(total, exponential(_mm512_sub_ps(logits_of(row, piece.bias, j), largest)));
          most[number * positions + position] = _mm512_cvtss_f32(largest);
          sums[number * positions + position] = _mm512_reduce_add_ps(total);
          if (word >= 0 && word < kWords) losses[position] = -(row[word] + piece.bias[word]);
        }
      }
    }
    float* weights = logits;
#pragma omp for schedule(static)
    for (Count position = 0; position < positions; ++position) {
      float largest = -INFINITY, total = 0.f;
      for (Count number = 0; number < count; ++number) largest = std::max(largest, most[number * positions + position]);
      for (Count number = 0; number < count; ++number)
        total += sums[number * positions + position] * std::exp(most[number * positions + position] - largest);
      logarithms[position] = largest + std::log(total);
      losses[position] += logarithms[position];
      float threshold = uniforms[position] * total;
      const Count number = first_above(sums + position, most + position, positions, count, largest, threshold);
      const Piece piece = piece_of(table, bias, number * kWords, words, size);
      weights_of(hidden + position * size, piece, size, largest, weights);
      drawn[position] = number * kWords + first_above(weights, nullptr, 1, kWords, 0.f, threshold);
    }
  }
}

// upstream [positions], of the losses -> gradients of hidden, table and bias, float32.
void electra_vocabulary_gradient(const bfloat16* hidden, const float* table, const float* bias,
                                 const std::int64_t* target, const float* logarithms, const float* upstream,
                                 float* hidden_gradient, float* table_gradient, float* bias_gradient, Count positions,
                                 Count words, Count size, int threads) {
  const Count count = pieces(words), rows = padded(positions), steps = rows / kInner;
  hidden = whole_blocks(hidden, positions, size);
  bfloat16* hidden_rows = scratch<HiddenRows, bfloat16>(rows * size);
  for (Count column = 0; column < size; column += kEdge)
    pack_right(hidden + column, size, steps, hidden_rows + column * rows);
  float* shares = scratch<Sums, float>(kShares * rows * size);
  std::fill(shares, shares + kShares * rows * size, 0.f);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    TileRegisters registers;
    bfloat16* packed = scratch<Words, bfloat16>(kWords * size);
    bfloat16* word_rows = scratch<WordRows, bfloat16>(kWords * size);
    float* logits = scratch<Logits, float>(kBlock * kWords);
    bfloat16* slopes = scratch<Slopes, bfloat16>(rows * kWords);
    bfloat16* strips = scratch<Strips, bfloat16>(kBlock * rows);
    float* result = scratch<Result, float>(kBlock * size);
#pragma omp for schedule(static)
    for (Count share = 0; share < kShares; ++share) {
      float* sums = shares + share * rows * size;
      for (Count number = share; number < count; number += kShares) {
        const Piece piece = piece_of(table, bias, number * kWords, words, size);
        pack_words(piece, size, packed);
        for (Count column = 0; column < size; column += kEdge)
          pack_right(piece.table + column, size, kWords / kInner, word_rows + column * kWords);
        for (Count first = 0; first < rows; first += kBlock) {
          multiply<false>(rows_of(hidden + first * size, size), packed, size / kInner, kWords, logits, kWords);
          for (Count i = 0; i < kBlock; ++i) {
            float* row = logits + i * kWords;
            bfloat16* to = slopes + (first + i) * kWords;
            const Count position = first + i;
            if (position >= positions) {
              std::fill(to, to + kWords, bfloat16(0));
              continue;
            }
            const __m512 logarithm = _mm512_set1_ps(logarithms[position]), scale = _mm512_set1_ps(upstream[position]);
            for (Count j = 0; j < kWords; j += kEdge) {
              const __m512 share_of_word = exponential(_mm512_sub_ps(logits_of(row, piece.bias, j), logarithm));
              _mm512_store_ps(row + j, share_of_word);
            }
            const Count word = target[position] - number * kWords;
            if (word >= 0 && word < kWords) row[word] -= 1.f;
            for (Count j = 0; j < kWords; j += kBlock)
              store(to + j, _mm512_mul_ps(_mm512_load_ps(row + j), scale),
                    _mm512_mul_ps(_mm512_load_ps(row + j + kEdge), scale));
          }
          multiply<true>(rows_of(slopes + first * kWords, kWords), word_rows, kWords / kInner, size, sums + first * size,
                         size);
        }
        for (Count word = 0; word < kWords; word += kBlock) {
          const Count at = number * kWords + word, rest = std::min(kBlock, words - at);
          if (rest <= 0) break;
          alignas(64) float biases[kBlock];
          for (Count strip = 0; strip < kBlock; strip += kEdge)
            _mm512_store_ps(biases + strip, pack_left_transposed(slopes + word + strip, kWords, steps,
                                                                 strips + strip * rows, _mm512_setzero_ps()));
          multiply<false>(strips_of(strips, steps), hidden_rows, steps, size, result, size);
          std::copy(result, result + rest * size, table_gradient + at * size);
          std::copy(biases, biases + rest, bias_gradient + at);
        }
      }
    }
#pragma omp for schedule(static)
    for (Count i = 0; i < positions * size; i += kEdge) {
      __m512 sum = _mm512_setzero_ps();
      for (Count share = 0; share < kShares; ++share) sum = _mm512_add_ps(sum, _mm512_load_ps(shares + share * rows * size + i));
      _mm512_storeu_ps(hidden_gradient + i, sum);
    }
  }
}

}  // extern "C"
}  // namespace electra
