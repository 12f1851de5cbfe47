// One instruction set's attention. It never stores the whole matrix of scores.
//
// A tile of queries lies across the lanes; keys and values are broadcast, so no head width wastes
// lanes:
//   scores[key][query] = sum over words of the width: keys[key][word] * queries[word][query]
//   sums[channel][query] += sum over words of keys: values[word][channel] * weights[word][query]
// Keys come in blocks. Weights are 2^(scores * scale * log2 e - reference); a query's reference is
// the maximum of the first block and is raised only when a later block exceeds it by 2^kSlack, so
// most blocks need neither a second look at the scores nor a rescaling of the sums. A last column
// of ones beside the values sums the weights as rounded.
#include INKSTONE_DOT_FORMAT
#include "backend/cpu/kernels/variant.h"
#include "backend/cpu/kernels/whole_numbers.h"
#include "base/parallel.h"

namespace inkstone::kernels::INKSTONE_ISA {
namespace {

// Keys or channels that are summed at a time.
constexpr int kTile = 6;
// keys between two updates of the sums
constexpr int64_t kKeyBlock = 96;
// Keys that are packed at a time, for one head after the other, so that they stay in the cache.
constexpr int64_t kPackedKeys = 24;
// Sums of some thousand weights of up to 2^24 are far from overflow.
constexpr int kSlack = 24;
constexpr float kLog2E = 1.44269504088896341f;
static_assert(kKeyBlock % kTile == 0 && kPackedKeys % kTile == 0 && kTile % Bf16DotFormat::kElements == 0);
constexpr float kMasked = -__builtin_inff();

// Offsets of the packed keys and values of one head of one row.
template <typename DotFormat>
struct Layout {
  int64_t width, keys, key_words, value_rows;

  explicit Layout(const AttentionShape& shape)
      : width(shape.head_width),
        keys(divide_up(shape.keys, kTile) * kTile),
        key_words(divide_up(width, DotFormat::kElements)),
        value_rows(keys / DotFormat::kElements) {}
  int64_t value_columns() const { return width + 1; }
  int64_t head_words() const { return divide_up(keys * key_words + value_rows * value_columns(), 16) * 16; }
  // keys: [tile][word][kTile]; values: [row][column], the last column being ones
  Word* keys_at(Word* head, int64_t key) const { return head + key * key_words; }
  Word* values_at(Word* head, int64_t key) const {
    return head + keys * key_words + key / DotFormat::kElements * value_columns();
  }
};

// Rows of one head. Element (token, channel) is at begin[token * stride + channel].
template <typename T>
struct Rows {
  const T* begin;
  int64_t stride, count;
};

// The words of `count` tokens, one token beside the next: to[word * kWidth + token]. Missing tokens
// become zeros.
template <typename DotFormat, int kWidth, typename T>
INKSTONE_INLINE void pack_beside(const T* from, int64_t stride, int64_t count, int64_t width, Word* to) {
  constexpr int kElements = DotFormat::kElements;
  const int64_t whole = width / kElements;
  for (int64_t token = 0; token < kWidth; ++token, from += stride) {
    Word* column = to + token;
    if (token >= count) {
      for (int64_t w = 0; w < divide_up(width, kElements); ++w) column[w * kWidth] = 0;
      continue;
    }
    for (int64_t w = 0; w < whole; ++w) {
      column[w * kWidth] = DotFormat::pack(from + w * kElements, from + w * kElements + kElements - 1);
    }
    constexpr T kZero = 0;
    if (whole * kElements < width) column[whole * kWidth] = DotFormat::pack(from + width - 1, &kZero);
  }
}

// Packs keys [first, first + kPackedKeys) of a head into words. Keys beyond the last one become 0.
template <typename DotFormat, typename T>
void pack_keys(const Layout<DotFormat>& layout, Rows<T> k, int64_t first, Word* to) {
  const int64_t last = smaller_of(first + kPackedKeys, layout.keys);
  for (int64_t tile = first; tile < last; tile += kTile) {
    pack_beside<DotFormat, kTile>(k.begin + tile * k.stride, k.stride, k.count - tile, layout.width,
                                  layout.keys_at(to, tile));
  }
}

template <typename DotFormat, typename T>
void pack_values(const Layout<DotFormat>& layout, Rows<T> v, int64_t first, Word* to) {
  const int64_t last = smaller_of(first + kPackedKeys, layout.keys);
  constexpr T kOne = sizeof(T) == 4 ? T(1) : T(0x3f80), kZero = 0;
  for (int64_t key = first; key < last; key += DotFormat::kElements) {
    Word* row = layout.values_at(to, key);
    if (key >= v.count) {
      std::memset(row, 0, static_cast<size_t>(layout.value_columns()) * sizeof(Word));
      continue;
    }
    const bool both = key + DotFormat::kElements <= v.count;
    const T* a = v.begin + key * v.stride;
    const T* b = a + (DotFormat::kElements - 1) * v.stride;
    for (int64_t c = 0; c < layout.width; ++c) row[c] = DotFormat::pack(a + c, both ? b + c : &kZero);
    row[layout.width] = DotFormat::pack(&kOne, both ? &kOne : &kZero);
  }
}

// sums[j][v] = sum over words of left[word][j] * right[word][v]
template <typename DotFormat, int kHeight, int kVectors>
INKSTONE_INLINE void multiply_tile(const Word* left, int64_t left_stride, const Word* right, int64_t words,
                                   Vec (&sums)[kHeight][kVectors]) {
  for (int j = 0; j < kHeight; ++j) {
    for (int v = 0; v < kVectors; ++v) sums[j][v] = Vec{};
  }
  for (int64_t w = 0; w < words; ++w, left += left_stride, right += kVectors * kLanes) {
    Vec columns[kVectors];
    for (int v = 0; v < kVectors; ++v) columns[v] = load(right + v * kLanes);
    for (int j = 0; j < kHeight; ++j) {
      const Vec all = splat_word(left + j);
      for (int v = 0; v < kVectors; ++v) sums[j][v] = DotFormat::dot(sums[j][v], columns[v], all);
    }
  }
}

// One tile of queries, and everything that is kept while all keys are read.
template <typename T, typename DotFormat, int kVectors>
struct QueryTile {
  static constexpr int kQueries = kVectors * kLanes;

  const Layout<DotFormat>& layout;
  float factor;  // from scores to what exp2() takes
  Vec reference[kVectors];
  alignas(64) Word queries[kMaxHeadWidth / DotFormat::kElements * kQueries];
  alignas(64) float scores[kKeyBlock * kQueries];
  alignas(64) Word weights[kKeyBlock / DotFormat::kElements * kQueries];
  alignas(64) float sums[(kMaxHeadWidth + 1) * kQueries];

  QueryTile(const Layout<DotFormat>& packed, float scale) : layout(packed), factor(scale * kLog2E * DotFormat::kOne) {}

  void begin(Rows<T> q) {
    for (Vec& v : reference) v = splat(kMasked);
    std::memset(sums, 0, static_cast<size_t>(layout.value_columns() * kQueries) * sizeof(float));
    pack_beside<DotFormat, kQueries>(q.begin, q.stride, q.count, layout.width, queries);
  }

  // Computes a block's weights with the present reference. Returns false if one of them is too
  // large.
  bool weigh(const Word* keys, int64_t count) {
    Vec bias[kVectors];
    for (int v = 0; v < kVectors; ++v) bias[v] = reference[v] - DotFormat::kBias;
    BitVec largest[kVectors] = {};
    for (int64_t tile = 0; tile < count; tile += kTile) {
      Vec x[kTile][kVectors];
      multiply_tile<DotFormat>(keys + tile * layout.key_words, kTile, queries, layout.key_words, x);
      INKSTONE_UNROLL
      for (int j = 0; j < kTile; j += DotFormat::kElements) {
        INKSTONE_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          Vec some[DotFormat::kElements];
          for (int e = 0; e < DotFormat::kElements; ++e) some[e] = x[j + e][v] * factor - bias[v];
          const BitVec words = DotFormat::exp2(some);
          largest[v] = DotFormat::larger_words(largest[v], words);
          store(weights + ((tile + j) / DotFormat::kElements * kVectors + v) * kLanes, words);
        }
      }
    }
    BitVec all = largest[0];
    for (int v = 1; v < kVectors; ++v) all = DotFormat::larger_words(all, largest[v]);
    return !DotFormat::exceeds(all, kSlack);
  }

  void score(const Word* keys, int64_t count) {
    for (int64_t tile = 0; tile < count; tile += kTile) {
      Vec x[kTile][kVectors];
      multiply_tile<DotFormat>(keys + tile * layout.key_words, kTile, queries, layout.key_words, x);
      for (int j = 0; j < kTile; ++j) {
        for (int v = 0; v < kVectors; ++v) store(scores + ((tile + j) * kVectors + v) * kLanes, x[j][v]);
      }
    }
  }

  // A query does not see keys after its own. The tile's first query is `first_query`; the `count`
  // scored keys begin with `key`.
  void mask_future(int64_t first_query, int64_t key, int64_t count) {
    for (int64_t j = 0; j < count; ++j) {
      const int64_t blind = smaller_of(key + j - first_query, kQueries);
      for (int64_t i = 0; i < blind; ++i) scores[j * kQueries + i] = kMasked;
    }
  }

  // Raises the reference to the largest score of the block, scales the sums accordingly, and
  // computes the weights.
  void raise(int64_t real, int64_t count) {
    for (int64_t i = real * kQueries; i < count * kQueries; ++i) scores[i] = kMasked;
    for (int v = 0; v < kVectors; ++v) {
      // doubt: NaN if a score was infinite or NaN
      Vec largest = load(scores + v * kLanes), doubt = {};
      for (int64_t j = 0; j < real; ++j) {
        const Vec score = load(scores + (j * kVectors + v) * kLanes);
        largest = larger(largest, score);
        doubt = score < -kMasked ? doubt : score - score;
      }
      const Vec risen = larger(reference[v], largest * factor);
      const Vec shrink = exp2_of((reference[v] - risen) * (1 / DotFormat::kOne)) + doubt;
      reference[v] = risen;
      for (int64_t c = 0; c < layout.value_columns(); ++c) {
        float* sum = sums + (c * kVectors + v) * kLanes;
        store(sum, load(sum) * shrink);
      }
    }
    Vec bias[kVectors];
    for (int v = 0; v < kVectors; ++v) bias[v] = reference[v] - DotFormat::kBias;
    for (int64_t j = 0; j < count; j += DotFormat::kElements) {
      for (int v = 0; v < kVectors; ++v) {
        Vec some[DotFormat::kElements];
        for (int e = 0; e < DotFormat::kElements; ++e) {
          const Vec x = load(scores + ((j + e) * kVectors + v) * kLanes) * factor - bias[v];
          some[e] = larger(splat(DotFormat::kMin), x);
        }
        store(weights + (j / DotFormat::kElements * kVectors + v) * kLanes, DotFormat::exp2(some));
      }
    }
  }

  template <int kHeight>
  void sum_channels(const Word* values, int64_t count, int64_t channel) {
    Vec x[kHeight][kVectors];
    multiply_tile<DotFormat>(values + channel, layout.value_columns(), weights, count / DotFormat::kElements, x);
    for (int j = 0; j < kHeight; ++j) {
      for (int v = 0; v < kVectors; ++v) {
        float* sum = sums + ((channel + j) * kVectors + v) * kLanes;
        store(sum, load(sum) + x[j][v]);
      }
    }
  }

  void sum_values(const Word* values, int64_t count) {
    const int64_t columns = layout.value_columns(), tiles = divide_up(columns, kTile);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t channel = columns * tile / tiles, height = columns * (tile + 1) / tiles - channel;
      switch (height) {
        case 1: sum_channels<1>(values, count, channel); break;
        case 2: sum_channels<2>(values, count, channel); break;
        case 3: sum_channels<3>(values, count, channel); break;
        case 4: sum_channels<4>(values, count, channel); break;
        case 5: sum_channels<5>(values, count, channel); break;
        default: sum_channels<6>(values, count, channel); break;
      }
    }
  }

  void finish(T* out, int64_t stride, int64_t count) {
    // Channels that are written as one word.
    constexpr int kTogether = 4 / sizeof(T);
    for (int v = 0; v < kVectors; ++v, out += kLanes * stride) {
      const int64_t lanes = smaller_of(kLanes, count - v * kLanes);
      const Vec part = 1.0f / load(sums + (layout.width * kVectors + v) * kLanes);
      int64_t c = 0;
      for (; c + kTogether <= layout.width; c += kTogether) write<kTogether>(out + c, stride, lanes, v, c, part);
      for (; c < layout.width; ++c) write<1>(out + c, stride, lanes, v, c, part);
    }
  }

  template <int kChannels>
  INKSTONE_INLINE void write(T* out, int64_t stride, int64_t lanes, int v, int64_t channel, Vec part) const {
    T columns[kChannels][kLanes], beside[kLanes][kChannels];
    for (int j = 0; j < kChannels; ++j) store(columns[j], load(sums + ((channel + j) * kVectors + v) * kLanes) * part);
    for (int i = 0; i < kLanes; ++i) {
      for (int j = 0; j < kChannels; ++j) beside[i][j] = columns[j][i];
    }
    for (int64_t i = 0; i < lanes; ++i) std::memcpy(out + i * stride, beside[i], sizeof beside[i]);
  }
};

// The queries of one head of one row, against keys and values that are packed already.
template <typename T>
struct Head {
  Rows<T> q;
  T* out;
  int64_t out_stride;
  Word* packed;
};

template <typename T, typename DotFormat, int kVectors>
void attend_tile(const AttentionShape& shape, const Layout<DotFormat>& layout, const Head<T>& head,
                 int64_t first_query) {
  const int64_t queries = smaller_of(kVectors * kLanes, head.q.count - first_query);
  QueryTile<T, DotFormat, kVectors> tile(layout, shape.scale);
  const T* q = head.q.begin + first_query * head.q.stride;
  T* out = head.out + first_query * head.out_stride;
  tile.begin({q, head.q.stride, queries});
  // Prefetches lines that are needed soon and that the hardware does not foresee.
  for (int64_t i = 0; i < queries; ++i) {
    for (int64_t c = 0; c < layout.width; c += 64 / static_cast<int64_t>(sizeof(T))) {
      __builtin_prefetch(out + i * head.out_stride + c, 1);
      if (first_query + queries + i < head.q.count) __builtin_prefetch(q + (queries + i) * head.q.stride + c);
    }
  }
  const int64_t seen = shape.causal ? smaller_of(shape.keys, first_query + queries) : shape.keys;
  for (int64_t key = 0; key < seen; key += kKeyBlock) {
    const int64_t real = smaller_of(kKeyBlock, seen - key), count = divide_up(real, kTile) * kTile;
    const Word* keys = layout.keys_at(head.packed, key);
    if (shape.causal || key == 0 || !tile.weigh(keys, count)) {
      tile.score(keys, count);
      if (shape.causal) tile.mask_future(first_query, key, count);
      tile.raise(real, count);
    }
    tile.sum_values(layout.values_at(head.packed, key), count);
  }
  tile.finish(out, head.out_stride, queries);
}

constexpr int64_t kQueryTile = kQueryVectors * kLanes;

template <typename T, typename DotFormat>
void attend(const AttentionShape& shape, const Layout<DotFormat>& layout, const Head<T>& head, int64_t first_query) {
  const int64_t vectors = smaller_of(divide_up(head.q.count - first_query, kLanes), kQueryVectors);
  if (vectors == kQueryVectors) return attend_tile<T, DotFormat, kQueryVectors>(shape, layout, head, first_query);
  if constexpr (kQueryVectors > 2) {
    if (vectors == 3) return attend_tile<T, DotFormat, 3>(shape, layout, head, first_query);
    if (vectors == 2) return attend_tile<T, DotFormat, 2>(shape, layout, head, first_query);
  }
  attend_tile<T, DotFormat, 1>(shape, layout, head, first_query);
}

template <typename T, typename DotFormat>
class Attention {
 public:
  Attention(const AttentionShape& shape, const AttentionData& data) : shape_(shape), data_(data), layout_(shape) {}

  void run() const {
    if (!shape_.sliced) return run_heads(0, shape_.rows, shape_.heads);
    for (int64_t head = 0; head < shape_.rows * shape_.heads; ++head) run_heads(head, 1, 1);
  }

 private:
  // All rows' heads in one sequence, from `first` on.
  void run_heads(int64_t first, int64_t rows, int64_t heads) const {
    const int64_t pieces = divide_up(layout_.keys, kPackedKeys), tiles = divide_up(shape_.queries, kQueryTile);
    auto* scratch = reinterpret_cast<Word*>(data_.scratch);
    const auto packed = [&](int64_t head) { return scratch + head * layout_.head_words(); };
    parallel_for(rows * pieces, divide_up(16, heads), [&](int64_t begin, int64_t end) {
      for (int64_t item = begin * heads; item < end * heads; ++item) {
        const int64_t head = item / heads / pieces * heads + item % heads;
        pack(first + head, item / heads % pieces * kPackedKeys, packed(head));
      }
    });
    parallel_for(rows * heads * tiles, 1, [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t head = item / tiles;
        const Head<T> one = {rows_of(data_.q, first + head, shape_.queries, shape_.q_stride),
                             const_cast<T*>(rows_of(data_.out, first + head, shape_.queries, shape_.out_stride).begin),
                             shape_.out_stride, packed(head)};
        attend<T, DotFormat>(shape_, layout_, one, item % tiles * kQueryTile);
      }
    });
  }

  Rows<T> rows_of(const void* base, int64_t head, int64_t tokens, int64_t stride) const {
    const int64_t row = head / shape_.heads, channel = head % shape_.heads * shape_.head_width;
    return {static_cast<const T*>(base) + row * tokens * stride + channel, stride, tokens};
  }

  void pack(int64_t head, int64_t key, Word* to) const {
    pack_keys(layout_, rows_of(data_.k, head, shape_.keys, shape_.k_stride), key, to);
    pack_values(layout_, rows_of(data_.v, head, shape_.keys, shape_.v_stride), key, to);
  }

  const AttentionShape& shape_;
  const AttentionData& data_;
  Layout<DotFormat> layout_;
};

}  // namespace

size_t attention_scratch(const AttentionShape& shape, DType type) {
  const int64_t words =
      type == DType::kF32 ? Layout<FloatDotFormat>(shape).head_words() : Layout<Bf16DotFormat>(shape).head_words();
  return static_cast<size_t>(words * (shape.sliced ? 1 : shape.rows * shape.heads)) * sizeof(Word);
}

void attention(const AttentionShape& shape, DType type, const AttentionData& data) {
  if (type == DType::kF32) return Attention<float, FloatDotFormat>(shape, data).run();
  Attention<Bf16, Bf16DotFormat>(shape, data).run();
}

}  // namespace inkstone::kernels::INKSTONE_ISA
