#include <algorithm>

#include "compile/passes.h"
#include "compile/rewrite.h"

namespace inkstone {
namespace {

constexpr int kRows = 2;  // the axis of image rows

class Tiler {
 public:
  Tiler(const Graph& graph, int64_t least_pixels, int64_t band_rows)
      : graph_(graph), least_pixels_(least_pixels), band_rows_(std::max<int64_t>(2, band_rows / 2 * 2)), out_(graph) {}

  Graph tile() {
    for (int id = 0; id < static_cast<int>(graph_.nodes().size()); ++id) {
      const Node& node = graph_.node(id);
      const int tiled = as<op::Conv2d>(node) ? tile_conv(node) : -1;
      tiled >= 0 ? out_.place(id, tiled) : static_cast<void>(out_.copy(id));
    }
    return out_.finish();
  }

 private:
  struct Band {
    int64_t begin, end, height;  // of the output's rows, and how many there are
    int64_t first() const { return begin > 0 ? begin - 1 : 0; }
    int64_t last() const { return end < height ? end + 1 : height; }  // the rows that a 3x3 kernel reads
  };

  // A 3x3 convolution that keeps the size, of one large image, whose input nobody else reads.
  bool fits(const Node& node, int in) const {
    const auto* conv = as<op::Conv2d>(node);
    const Shape& weight = graph_.node(node.inputs[1]).shape;
    const bool keeps = conv->stride == 1 && weight[2] == 3 && weight[3] == 3 && conv->pad_top == 1 &&
                       conv->pad_bottom == 1 && conv->pad_left == 1 && conv->pad_right == 1;
    return keeps && node.shape[0] == 1 && node.shape[2] % 2 == 0 && node.shape[2] > band_rows_ &&
           node.shape[2] * node.shape[3] >= least_pixels_ && out_.single(in);
  }

  int rows(int id, int64_t begin, int64_t end) {
    return begin == 0 && end == out_.node(id).shape[kRows] ? id : out_.add(op::Slice{kRows, begin, end}, {id});
  }

  int tile_conv(const Node& node) {
    const int in = out_.of(node.inputs[0]);
    if (!fits(node, in)) return -1;
    const Node source = out_.node(in);
    const auto* norm = as<op::GroupNorm>(source);
    if (norm && !norm->addend) {
      const int x = source.inputs[0], scale = source.inputs[1], shift = source.inputs[2];
      const int stats = out_.add(op::GroupStats{norm->groups, norm->epsilon}, {x});
      const op::GroupApply apply{norm->groups, norm->silu};
      return in_bands(node, [&](const Band& b) {
        return out_.add(apply, {rows(x, b.first(), b.last()), stats, scale, shift});
      });
    }
    if (!as<op::Upsample2x>(source)) return -1;
    return in_bands(node, [&](const Band& b) {
      const int64_t begin = b.first() / 2, end = (b.last() + 1) / 2;
      const int upsampled = out_.add(op::Upsample2x{}, {rows(source.inputs[0], begin, end)});
      return rows(upsampled, b.first() - 2 * begin, b.last() - 2 * begin);
    });
  }

  // `input_of(band)` is the convolution's input for that band, with the rows around it.
  template <typename F>
  int in_bands(const Node& node, const F& input_of) {
    std::vector<int> bands;
    const int64_t height = node.shape[kRows];
    for (int64_t begin = 0; begin < height; begin += band_rows_) {
      const Band band{begin, std::min(height, begin + band_rows_), height};
      op::Conv2d conv = *as<op::Conv2d>(node);
      conv.pad_top = begin == 0;
      conv.pad_bottom = band.end == height;
      std::vector<int> inputs = out_.of(node.inputs);
      inputs[0] = input_of(band);
      if (conv.residual) inputs.back() = rows(inputs.back(), begin, band.end);
      bands.push_back(out_.add(conv, std::move(inputs)));
    }
    return out_.add(op::Concat{kRows}, std::move(bands));
  }

  const Graph& graph_;
  int64_t least_pixels_, band_rows_;
  Rewrite out_;
};

}  // namespace

Graph tile_rows(const Graph& graph, int64_t least_pixels, int64_t band_rows) {
  return Tiler(graph, least_pixels, band_rows).tile();
}

}  // namespace inkstone
