// One instruction set's products: how the work is divided among threads, and in which order it is
// done. Each thread takes consecutive tiles of rows, panel by panel, with a panel of its own. So
// the order in which an element is summed depends on the weight alone.
#include "backend/cpu/kernels/product.h"

#include "backend/cpu/kernels/product_panel.h"
#include "backend/cpu/kernels/product_tile.h"
#include "base/parallel.h"

namespace inkstone::kernels::INKSTONE_ISA {
namespace {

constexpr int64_t kChunkWords = 1280;  // of a panel: 320 KiB
// Tiles of rows whose sums are kept from one chunk to the next: 255 KiB.
constexpr int64_t kGroupTiles = 170;
// multiplications; less is not worth another thread
constexpr int64_t kGrain = 1 << 19;
// Rows of weights that are prefetched during one tile.
constexpr int64_t kMaxAhead = 8;
constexpr int64_t kTileSums = kTileRows * kPanel;
constexpr int64_t kMaxPanels = 16;  // packed at a time

// Whether rows are converted to fp32 before they are multiplied.
template <typename X>
constexpr bool kWidened = sizeof(X) == 2 && DotFormatOf<X>::kElements == 1;

template <typename X>
int64_t chunk_channels_of(int64_t channels, int64_t taps) {
  constexpr int64_t kElements = DotFormatOf<X>::kElements;
  const int64_t max_channels = kChunkWords * kElements / taps, step = max_channels >= 2 * kLanes ? 2 * kLanes : 2;
  const int64_t chunks = divide_up(channels, larger_of(step, max_channels / step * step));
  return round_up(divide_up(channels, chunks), step);
}

template <typename X>
struct Scratch {  // of one thread
  // words; panels: how many there is room for
  int64_t panel, panels, stage, widened, sums;

  Scratch(int64_t channels, int64_t taps) {
    const Chunk chunk = {0, chunk_channels_of<X>(channels, taps), channels, taps};
    const int64_t words = words_of<X>(chunk);
    panel = words * kPanel;
    panels = channels > chunk.count ? 1 : smaller_of(kMaxPanels, larger_of(1, kChunkWords / words));
    stage = stage_words(taps);
    widened = kWidened<X> ? round_up(kTileRows * words, kLine) : 0;
    sums = kTileSums * (channels > chunk.count ? kGroupTiles : 1);
  }
  int64_t words() const { return panel * panels + stage + widened + sums; }
};

template <typename X>
class Worker {
 public:
  Worker(const Product& product, int64_t index)
      : p_(product),
        sizes_(product.channels, product.taps),
        chunk_(chunk_channels_of<X>(product.channels, product.taps)) {
    panel_ = reinterpret_cast<Word*>(product.scratch) + index * sizes_.words();
    stage_ = panel_ + sizes_.panel * sizes_.panels;
    widened_ = reinterpret_cast<float*>(stage_ + sizes_.stage);
    sums_ = widened_ + sizes_.widened;
  }

  // Tiles [begin, end) of some panels, at most max_panels() of them.
  void run(int64_t index, int64_t panels, int64_t begin, int64_t end) {
    const bool one = chunk_ >= p_.channels;
    const int64_t group = one ? end - begin : kGroupTiles;
    for (int64_t i = 0; i < panels; ++i) load_bias(Panel(p_, index + i), bias_[i]);
    for (; begin < end; begin += group) {
      const int64_t last = smaller_of(end, begin + group);
      for (int64_t c = 0; c < p_.channels; c += chunk_) {
        const Chunk chunk = {c, smaller_of(chunk_, p_.channels - c), p_.channels, p_.taps};
        for (int64_t i = 0; i < panels; ++i) {
          pack_panel<X>(p_.weight, Panel(p_, index + i), chunk, panel_ + i * sizes_.panel, stage_);
        }
        const bool done = c + chunk_ >= p_.channels;
        const int64_t calls = (last - begin) * panels, next = done ? index + panels : index;
        for (int64_t call = 0; call < calls; ++call) {
          const int64_t tile = begin + call / panels, i = call % panels;
          const Part part = {Panel(p_, index + i),      chunk,    tile,
                             panel_ + i * sizes_.panel, bias_[i], sums_ + (one ? 0 : tile - begin) * kTileSums};
          add(part, ahead(next, panels, done ? 0 : c + chunk_, call, calls), i + 1 == panels);
        }
      }
    }
  }
  int64_t max_panels() const { return sizes_.panels; }

 private:
  struct Part {
    Panel panel;
    const Chunk& chunk;
    int64_t tile;
    const Word* packed;
    const float* bias;
    float* sums;
  };

  int64_t height(int64_t tile) const { return smaller_of(kTileRows, p_.rows - tile * kTileRows); }

  void load_bias(const Panel& panel, float* to) const {
    for (int v = 0; v < kPanelVectors; ++v) {
      const int64_t count = p_.bias ? panel.rows(v) : 0;
      for (int64_t i = 0; i < kLanes; ++i) to[v * kLanes + i] = i < count ? p_.bias[panel.row(v) + i] : 0;
    }
  }

  // Part i of n of the weights that are packed next: of some panels from `index` on.
  Ahead ahead(int64_t index, int64_t panels, int64_t channel, int64_t i, int64_t n) const {
    const int64_t first = panels * kPanel * i / n, last = panels * kPanel * (i + 1) / n;
    index += first / kPanel;
    if (first == last || index >= Panel::count(p_)) return {};
    const Panel next(p_, index);
    const int64_t size = static_cast<int64_t>(size_of(p_.weight.type)), at = first % kPanel;
    const int v = static_cast<int>(at / kLanes);
    const int64_t row = next.row(v) + at % kLanes, stride = p_.channels * p_.taps * size;
    const int64_t rows = smaller_of(smaller_of(last - first, kMaxAhead), next.rows(v) - at % kLanes);
    if (rows <= 0) return {};
    return {p_.weight.data + row * stride + channel * p_.taps * size, stride, rows};
  }

  void add(const Part& part, const Ahead& soon, bool last_panel) {
    const int64_t tile = part.tile, rows = height(tile), words = words_of<X>(part.chunk);
    const int64_t stride = p_.stride * static_cast<int64_t>(sizeof(X));
    const auto* x = static_cast<const std::byte*>(p_.x) + tile * kTileRows * stride +
                    part.chunk.first * p_.taps * static_cast<int64_t>(sizeof(X));
    LeftRows left = {x, stride, rows, words, false, nullptr};
    if constexpr (kWidened<X>) {
      for (int64_t j = 0; j < rows; ++j) widen_row(x + j * stride, words, widened_ + j * words);
      left.begin = reinterpret_cast<const std::byte*>(widened_);
      left.stride = words * static_cast<int64_t>(sizeof(Word));
    } else {
      if (last_panel && (tile + 1) * kTileRows + rows <= p_.rows) left.next = x + kTileRows * stride;
      if (DotFormatOf<X>::kElements == 2 && p_.taps == 1 && part.chunk.count % 2 == 1) {
        left.whole -= 1;
        left.tail = true;
      }
    }
    const Start start = part.chunk.first == 0 ? Start{part.bias, 0} : Start{part.sums, kPanel};
    const bool done = part.chunk.first + part.chunk.count >= p_.channels;
    if (!done) return multiply_tile<DotFormatOf<X>>(left, soon, part.packed, part.panel.vectors, start, part.sums);
    p_.out_type == DType::kF32 ? finish_as<float>(part, left, soon, start) : finish_as<Bf16>(part, left, soon, start);
  }

  template <typename T>
  void finish_as(const Part& part, const LeftRows& left, const Ahead& soon, const Start& start) {
    using DotFormat = DotFormatOf<X>;
    const FinishedRows to = {height(part.tile), part.panel.columns, p_.geglu ? p_.out / 2 : p_.out};
    const int64_t at = part.tile * kTileRows * to.stride + part.panel.column;
    T* const out = static_cast<T*>(p_.out_data) + at;
    const T* const residual = p_.residual ? static_cast<const T*>(p_.residual) + at : nullptr;
    if (to.rows == kTileRows && p_.geglu && to.columns == kPanel / 2) {
      return multiply_whole_tile<DotFormat>(left, soon, part.packed, start, FinishGated<T>{out, to.stride});
    }
    if (to.rows == kTileRows && !p_.geglu && to.columns == kPanel && p_.activation == Activation::kNone) {
      return multiply_whole_tile<DotFormat>(left, soon, part.packed, start, Finish<T>{out, residual, to.stride});
    }
    multiply_tile<DotFormat>(left, soon, part.packed, part.panel.vectors, start, part.sums);
    if (p_.geglu) return finish_gated_tile(to, part.sums, out);
    finish_tile(to, part.sums, p_.activation, residual, out);
  }

  static void widen_row(const std::byte* x, int64_t count, float* to) {
    const X* from = reinterpret_cast<const X*>(x);
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i));
    for (; i < count; ++i) to[i] = value_of(from[i]);
  }

  const Product& p_;
  const Scratch<X> sizes_;
  const int64_t chunk_;
  Word *panel_, *stage_;
  float *widened_, *sums_;
  alignas(64) float bias_[kMaxPanels][kPanel];
};

template <typename X>
void multiply_typed(const Product& p) {
  const int64_t tiles = divide_up(p.rows, kTileRows), items = Panel::count(p) * tiles;
  const int64_t grain = kGrain / (kTileRows * kPanel * p.channels * p.taps) + 1;
  const int64_t pieces = smaller_of(threads(), larger_of(1, items / grain));
  parallel_for(pieces, 1, [&](int64_t first, int64_t last) {
    for (; first < last; ++first) {
      Worker<X> worker(p, first);
      int64_t begin = items * first / pieces;
      const int64_t end = items * (first + 1) / pieces;
      while (begin < end) {
        const int64_t tile = begin % tiles, count = smaller_of(tiles - tile, end - begin);
        const int64_t panels = count < tiles ? 1 : smaller_of(worker.max_panels(), (end - begin) / tiles);
        worker.run(begin / tiles, panels, tile, tile + count);
        begin += panels * count;
      }
    }
  });
}

template <typename X>
size_t scratch_of(int64_t channels, int64_t taps) {
  return static_cast<size_t>(threads() * Scratch<X>(channels, taps).words()) * sizeof(Word);
}

}  // namespace

RowLayout row_layout(int64_t channels, int64_t taps, DType x_type) {
  if (x_type == DType::kF32) return {chunk_channels_of<float>(channels, taps), channels};
  return {chunk_channels_of<Bf16>(channels, taps), taps == 1 ? channels : round_up(channels, Bf16DotFormat::kElements)};
}

size_t product_scratch(int64_t channels, int64_t taps, DType x_type) {
  return x_type == DType::kF32 ? scratch_of<float>(channels, taps) : scratch_of<Bf16>(channels, taps);
}

void multiply(const Product& p) { p.x_type == DType::kF32 ? multiply_typed<float>(p) : multiply_typed<Bf16>(p); }

}  // namespace inkstone::kernels::INKSTONE_ISA
