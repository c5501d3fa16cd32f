// Exponential, GELU, and which values drop out: 16 or 64 numbers at a time.

#pragma once

#include <immintrin.h>

#include <cstdint>

namespace electra {

// 2^x by the whole part of x and a polynomial of the rest; relative error below 4e-6. Where denormal numbers are
// zero, as `TileRegisters` has it, 0 for very small x and for minus infinity.
inline __m512 power_of_two(__m512 x) {
  const __m512 rest = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 sum = _mm512_set1_ps(0.01353416f);  // least squares of the relative error on [0, 1), weighted anew until even
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(0.05201147f));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(0.24144275f));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(0.69300384f));
  sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(1.00000259f));
  return _mm512_scalef_ps(sum, x);
}

inline __m512 exponential(__m512 x) { return power_of_two(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f))); }

struct Gelu {
  __m512 value, slope;
};

// x P(X <= x) of a standard normal X (Hendrycks & Gimpel 2016), and its derivative. The distribution by Abramowitz &
// Stegun 7.1.26 with a reciprocal of 14 bits: absolute errors below 2e-5 and, of the derivative, 7e-5; bfloat16 rounds
// numbers near 1 by up to 4e-3.
inline Gelu gelu(__m512 x) {
  const __m512 bell = power_of_two(_mm512_mul_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(-0.5f * 1.44269504f)));
  const __m512 t = _mm512_rcp14_ps(
      _mm512_fmadd_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.3275911f * 0.70710678f), _mm512_set1_ps(1.f)));
  __m512 sum = _mm512_set1_ps(0.5f * 1.061405429f);
  sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(0.5f * -1.453152027f));
  sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(0.5f * 1.421413741f));
  sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(0.5f * -0.284496736f));
  sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(0.5f * 0.254829592f));
  const __m512 tail = _mm512_mul_ps(_mm512_mul_ps(sum, t), bell);
  const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
  const __m512 share = _mm512_mask_mov_ps(_mm512_sub_ps(_mm512_set1_ps(1.f), tail), negative, tail);
  const __m512 density = _mm512_mul_ps(_mm512_set1_ps(0.39894228f), bell);
  return {_mm512_mul_ps(x, share), _mm512_fmadd_ps(x, density, share)};
}

// Dropout that is drawn again where it is needed again: one byte a value, from four rounds of AES over a counter
// (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
class Dropout {
 public:
  static constexpr std::int64_t kValues = 64;  // one draw decides on

  // `threshold` of 256 values drop; 0: none.
  Dropout(std::uint64_t seed, int threshold)
      : scale(256.f / float(256 - threshold)),
        key_(_mm512_set1_epi64(std::int64_t(seed))),
        limit_(_mm512_set1_epi8(char(threshold))),
        any_(threshold > 0) {}

  // How many draws a row of `width` values takes.
  static std::int64_t draws(std::int64_t width) { return (width + kValues - 1) / kValues; }

  // Bit i: whether value i of draw `number` stays.
  __mmask64 stays(std::int64_t number) const {
    if (!any_) return ~0ull;
    const __m512i lanes = _mm512_set_epi64(3, 0, 2, 0, 1, 0, 0, 0);
    const __m512i weyl = _mm512_set4_epi64(std::int64_t(0xBB67AE8584CAA73B), std::int64_t(0x9E3779B97F4A7C15),
                                           std::int64_t(0xBB67AE8584CAA73B), std::int64_t(0x9E3779B97F4A7C15));
    __m512i state = _mm512_xor_si512(_mm512_mask_set1_epi64(lanes, 0x55, number), key_), round = key_;
    for (int i = 0; i < 4; ++i) {
      round = _mm512_add_epi64(round, weyl);
      state = _mm512_aesenc_epi128(state, round);
    }
    return _mm512_cmpge_epu8_mask(state, limit_);
  }

  const float scale;  // of the values that stay

 private:
  __m512i key_, limit_;
  bool any_;
};

}  // namespace electra
