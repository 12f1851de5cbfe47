// Row bands. From the op that makes it to its last reader, a large map is a list of bands, each a
// value of its own. GroupNorm and Upsample2x are not stored: they are applied to the rows that a
// reader needs. If a reader needs a band and some rows of its neighbours, the band gets room for
// them at its ends: those few rows are copied, and the band itself is computed in place. Between
// two statistics the work goes band by band through all ops, so that a map is freed while the next
// one grows.
#include <algorithm>
#include <utility>

#include "compile/passes.h"
#include "compile/rewrite.h"
#include "compile/schedule.h"

namespace inkstone::compile {
namespace {

constexpr int kChannels = 1, kRows = 2;  // axes of an image
constexpr int64_t kAligned = 4;

struct Band {
  int id;
  int64_t begin, end;  // rows of the map
  int64_t rows() const { return end - begin; }
  bool holds(int64_t from, int64_t to) const { return begin <= from && to <= end; }
};

// The new values that stand for an old one.
struct Map {
  // From top to bottom, or one band for the whole map. None if it is applied on reading.
  std::vector<Band> bands;
  std::vector<Band> wider;  // bands with rows of their neighbours
  // The statistics of a GroupNorm that is applied on reading.
  int stats = -1;
  // The stage in which it is made, and the latest stage so far in which it is read.
  int stage = 0, read = 0;
};

class Tiler {
 public:
  Tiler(const Graph& graph, int64_t min_pixels, int64_t band_rows)
      : graph_(graph),
        min_pixels_(min_pixels),
        band_rows_(std::max<int64_t>(2, band_rows / 2 * 2)),
        maps_(graph.nodes().size()) {}

  Graph tile() {
    for (int id = 0; id < static_cast<int>(graph_.nodes().size()); ++id) place(id);
    std::vector<int> outputs;
    for (const int id : graph_.outputs()) outputs.push_back(whole(id));
    out_.set_outputs(std::move(outputs));
    return in_schedule_order(out_, positions_);
  }

 private:
  bool large(const Node& node) const {
    return node.shape.size() == 4 && node.shape[0] == 1 && node.shape[kRows] > band_rows_ &&
           node.shape[kRows] * node.shape[3] >= min_pixels_;
  }

  bool applied_on_reading(int id) const { return maps_[id].bands.empty(); }
  bool in_bands(int id) const { return maps_[id].bands.size() != 1; }

  // The inputs whose rows become the result's rows; none for an op that does not work row by row.
  // Of a sum or product, an input may instead be one value for all rows.
  static std::vector<int> row_inputs(const Graph& graph, const Node& node) {
    if (const auto* conv = as<op::Conv2d>(node))
      return conv->residual ? std::vector<int>{node.inputs[0], node.inputs.back()} : std::vector<int>{node.inputs[0]};
    if (as<op::Activate>(node) || as<op::Cast>(node) || as<op::Upsample2x>(node)) return {node.inputs[0]};
    const auto* norm = as<op::GroupNorm>(node);
    if (norm && !norm->addend) return {node.inputs[0]};
    const auto* joined = as<op::Concat>(node);
    if (joined && joined->axis == kChannels) return node.inputs;
    if (!as<op::Add>(node) && !as<op::Mul>(node)) return {};
    std::vector<int> inputs;
    for (const int input : node.inputs) {
      const Shape& shape = graph.node(input).shape;
      if (shape == node.shape)
        inputs.push_back(input);
      else if (shape.size() != 4 || shape[kRows] != 1)
        return {};
    }
    return inputs;
  }

  int add(Op op, std::vector<int> inputs, DType type, Shape declared = {}) {
    const int id = out_.add_node(std::move(op), std::move(inputs), std::move(declared)).id;
    out_.set_type(id, type);
    positions_.push_back(position_);
    return id;
  }

  void place(int id) {
    const Node& node = graph_.node(id);
    const std::vector<int> sources = row_inputs(graph_, node);
    int stage = 0;
    for (const int input : node.inputs) stage = std::max(stage, ready(input));
    position_ = {stage, -1};
    const bool split = std::any_of(sources.begin(), sources.end(), [&](int input) { return in_bands(input); });
    if (sources.empty() || !(large(node) || split)) return copy(id);
    if (const auto* norm = as<op::GroupNorm>(node)) return take_stats(id, *norm);
    if (as<op::Upsample2x>(node)) return;
    Map& map = maps_[id];
    map.stage = map.read = stage;
    for (const int input : sources) note_reader(input, stage);
    std::vector<Band> bands;
    for (const auto& [begin, end] : cuts(id)) {
      position_ = {stage, static_cast<double>(begin) / static_cast<double>(node.shape[kRows])};
      bands.push_back({band(node, begin, end), begin, end});
    }
    map.bands = std::move(bands);
    if (!large(node)) whole(id);
  }

  // A map is ready when it has been made and earlier readers have read it. The last reader then
  // frees it band by band.
  int ready(int id) const {
    const Map& map = maps_[id];
    const int own = std::max(map.stage, map.read);
    return applied_on_reading(id) ? std::max(own, ready(graph_.node(id).inputs[0])) : own;
  }

  void note_reader(int id, int stage) {
    maps_[id].read = std::max(maps_[id].read, stage);
    if (applied_on_reading(id)) note_reader(graph_.node(id).inputs[0], stage);
  }

  void copy(int id) {
    const Node& node = graph_.node(id);
    std::vector<int> inputs;
    for (const int input : node.inputs) inputs.push_back(whole(input));
    const int64_t rows = node.shape.size() == 4 ? node.shape[kRows] : 0;
    maps_[id].bands = {{add(node.op, std::move(inputs), node.type, node.shape), 0, rows}};
    maps_[id].stage = maps_[id].read = position_.stage;
  }

  void take_stats(int id, const op::GroupNorm& norm) {
    const int x = graph_.node(id).inputs[0];
    std::vector<int> inputs;
    if (applied_on_reading(x)) whole(x);
    for (const Band& band : maps_[x].bands) inputs.push_back(band.id);
    position_ = {maps_[x].stage + 1, -1};
    maps_[id].stage = position_.stage;
    maps_[id].stats = add(op::GroupStats{norm.groups, norm.epsilon}, std::move(inputs), DType::kF32);
  }

  // Adds a node for rows [begin, end) of a node's result.
  int band(const Node& node, int64_t begin, int64_t end) {
    Op op = node.op;
    std::vector<int> inputs;
    auto* conv = std::get_if<op::Conv2d>(&op);
    if (!conv) {
      const std::vector<int> in_rows = row_inputs(graph_, node);
      for (const int input : node.inputs)
        inputs.push_back(std::ranges::count(in_rows, input) ? rows(input, begin, end) : whole(input));
      return add(std::move(op), std::move(inputs), node.type);
    }
    const int64_t height = graph_.node(node.inputs[0]).shape[kRows], kernel = graph_.node(node.inputs[1]).shape[kRows];
    const int64_t first = begin * conv->stride - conv->pad_top,
                  last = (end - 1) * conv->stride - conv->pad_top + kernel;
    conv->pad_top = static_cast<int>(std::max<int64_t>(0, -first));
    conv->pad_bottom = static_cast<int>(std::max<int64_t>(0, last - height));
    inputs.push_back(rows(node.inputs[0], std::max<int64_t>(0, first), std::min(height, last)));
    for (size_t k = 1; k < node.inputs.size(); ++k) {
      const bool residual = conv->residual && k + 1 == node.inputs.size();
      inputs.push_back(residual ? rows(node.inputs[k], begin, end) : whole(node.inputs[k]));
    }
    return add(std::move(op), std::move(inputs), node.type);
  }

  int rows(int id, int64_t begin, int64_t end) {
    if (!applied_on_reading(id)) return stored_rows(maps_[id], begin, end);
    const Node& node = graph_.node(id);
    if (const auto* norm = as<op::GroupNorm>(node)) {
      const int x = rows(node.inputs[0], begin, end), scale = whole(node.inputs[1]), shift = whole(node.inputs[2]);
      return add(op::GroupApply{norm->groups, norm->silu}, {x, maps_[id].stats, scale, shift}, node.type);
    }
    const int64_t first = begin / 2, last = (end + 1) / 2;
    const op::Upsample2x across{.odd_width = as<op::Upsample2x>(node)->odd_width};
    const int doubled = add(across, {rows(node.inputs[0], first, last)}, node.type);
    return slice(doubled, begin - 2 * first, end - 2 * first);
  }

  int slice(int id, int64_t begin, int64_t end) {
    const Node& node = out_.node(id);
    return begin == 0 && end == node.shape[kRows] ? id : add(op::Slice{kRows, begin, end}, {id}, node.type);
  }

  int stored_rows(Map& map, int64_t begin, int64_t end) {
    for (const std::vector<Band>* list : {&map.bands, &map.wider})
      for (const Band& band : *list)
        if (band.holds(begin, end)) return slice(band.id, begin - band.begin, end - band.begin);
    const Band wider = widen(map, begin, end);
    return slice(wider.id, begin - wider.begin, end - wider.begin);
  }

  // Extends the band that has most of these rows by the rows that are missing.
  Band widen(Map& map, int64_t begin, int64_t end) {
    const auto shared = [&](const Band& band) { return std::min(end, band.end) - std::max(begin, band.begin); };
    const Band home = *std::max_element(map.bands.begin(), map.bands.end(),
                                        [&](const Band& a, const Band& b) { return shared(a) < shared(b); });
    begin = std::min(begin, home.begin), end = std::max(end, home.end);
    const SchedulePosition reader = std::exchange(
        position_, {map.stage, static_cast<double>(home.begin) / static_cast<double>(map.bands.back().end)});
    std::vector<int> pieces;
    for (const Band& band : map.bands) {
      const int64_t from = std::max(begin, band.begin), to = std::min(end, band.end);
      if (from < to) pieces.push_back(slice(band.id, from - band.begin, to - band.begin));
    }
    const int joined = add(op::Concat{kRows}, std::move(pieces), out_.node(home.id).type);
    position_ = reader;
    return map.wider.emplace_back(Band{joined, begin, end});
  }

  int whole(int id) {
    Map& map = maps_[id];
    if (applied_on_reading(id)) {
      std::vector<Band> bands;
      for (const auto& [begin, end] : cuts(id)) bands.push_back({rows(id, begin, end), begin, end});
      map.bands = std::move(bands);
    }
    if (map.bands.size() == 1) return map.bands[0].id;
    std::vector<int> pieces;
    for (const Band& band : map.bands) pieces.push_back(band.id);
    map.bands = {{add(op::Concat{kRows}, std::move(pieces), graph_.node(id).type), 0, map.bands.back().end}};
    return map.bands[0].id;
  }

  // The bands of a result: those of its input, cut again if they would be too high. If possible,
  // cuts are at multiples of kAligned rows, so that a kernel that works on square tiles has the
  // same tiles as in the whole map.
  std::vector<std::pair<int64_t, int64_t>> cuts(int id) const {
    const Node& node = graph_.node(id);
    const auto* conv = as<op::Conv2d>(node);
    const int64_t stride = conv ? conv->stride : 1, height = node.shape[kRows];
    int source = id, doublings = 0;
    for (; applied_on_reading(source); source = graph_.node(source).inputs[0])
      doublings += as<op::Upsample2x>(graph_.node(source)) != nullptr;
    const int64_t max_rows = std::max<int64_t>(1, band_rows_ * stride >> doublings);
    std::vector<std::pair<int64_t, int64_t>> cuts;
    int64_t last = 0;
    const auto cut = [&](int64_t row) {
      row = ((row << doublings) + stride - 1) / stride;
      if (const int64_t aligned = row / kAligned * kAligned; aligned > last) row = aligned;
      if (row > last && row < height) cuts.emplace_back(std::exchange(last, row), row);
    };
    for (const Band& band : maps_[source].bands) {
      const int64_t pieces = (band.rows() + max_rows / 2) / max_rows;
      for (int64_t i = 1; i < pieces; ++i) cut(band.begin + band.rows() * i / pieces);
      if (band.end < maps_[source].bands.back().end) cut(band.end);
    }
    cuts.emplace_back(last, height);
    return cuts;
  }

  const Graph& graph_;
  int64_t min_pixels_, band_rows_;
  std::vector<Map> maps_;  // by old node
  Graph out_;
  std::vector<SchedulePosition> positions_;  // by new node
  // The position of nodes that are being added.
  SchedulePosition position_;
};

}  // namespace

Graph tile_rows(const Graph& graph, int64_t min_pixels, int64_t band_rows) {
  return Tiler(graph, min_pixels, band_rows).tile();
}

}  // namespace inkstone::compile
