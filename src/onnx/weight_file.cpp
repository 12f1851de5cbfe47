#include "onnx/weight_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"

namespace inkstone::onnx_export {
namespace {

constexpr size_t kAlignment = 4096;
constexpr int64_t kPiece = int64_t{1} << 22;  // elements converted at a time

// Everything is written to the file and added to its digest.
class Sink {
 public:
  explicit Sink(const std::filesystem::path& path) : file_(path) {}

  void write(std::span<const std::byte> bytes) {
    file_.write(bytes);
    digest_.add(bytes);
    at_ += bytes.size();
  }
  void pad_to(size_t offset) { write(std::vector<std::byte>(offset - at_)); }
  std::string finish() {
    file_.finish();
    return digest_.text();
  }

 private:
  FileWriter file_;
  Digest digest_;
  size_t at_ = 0;
};

std::span<const std::byte> piece_of(const WeightView& view, int64_t begin, int64_t end) {
  const size_t size = size_of(view.type);
  return view.bytes.subspan(static_cast<size_t>(begin) * size, static_cast<size_t>(end - begin) * size);
}

void check_range(const WeightView& view, std::span<const float> values, int64_t first) {
  const auto large = std::ranges::find_if(values, [](float v) { return std::fabs(v) > kLargestF16; });
  INKSTONE_CHECK(large == values.end(), "the weight ", view.name, " has ", *large, " at element ",
                 first + (large - values.begin()), " of ", to_string(view.shape),
                 ", more than fp16 holds (65504): export with --precision fp32");
}

// Elements [begin, end) of a weight, in the order stored.
std::vector<std::byte> converted(const WeightView& view, DType type, int64_t begin, int64_t end) {
  const auto from = piece_of(view, begin, end);
  if (view.type == type) return {from.begin(), from.end()};
  const auto size = static_cast<size_t>(end - begin);
  std::vector<std::byte> result(size * size_of(type));
  std::vector<float> floats(type == DType::kF32 ? 0 : size);
  auto* to = type == DType::kF32 ? reinterpret_cast<float*>(result.data()) : floats.data();
  parallel_for(end - begin, 1 << 16, [&](int64_t first, int64_t last) {
    to_float(view.type, from.data() + static_cast<size_t>(first) * size_of(view.type), to + first,
             static_cast<size_t>(last - first));
  });
  if (type == DType::kF32) return result;
  check_range(view, floats, begin);
  auto* halves = reinterpret_cast<uint16_t*>(result.data());
  parallel_for(end - begin, 1 << 16, [&](int64_t first, int64_t last) {
    std::transform(floats.begin() + first, floats.begin() + last, halves + first, to_f16);
  });
  return result;
}

template <typename T>
void transpose(const std::byte* from, std::byte* to, int64_t rows, int64_t columns) {
  constexpr int64_t kBlock = 32;
  parallel_for(columns, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t r0 = 0; r0 < rows; r0 += kBlock)
      for (int64_t c = begin; c < end; ++c)
        for (int64_t r = r0; r < std::min(rows, r0 + kBlock); ++r)
          reinterpret_cast<T*>(to)[c * rows + r] = reinterpret_cast<const T*>(from)[r * columns + c];
  });
}

void write_transposed(const WeightView& view, DType type, Sink& sink) {
  const int64_t rows = view.shape[0], columns = count(view.shape) / std::max<int64_t>(1, rows);
  const std::vector<std::byte> stored = converted(view, type, 0, rows * columns);
  std::vector<std::byte> turned(stored.size());
  (type == DType::kF32 ? transpose<uint32_t> : transpose<uint16_t>)(stored.data(), turned.data(), rows, columns);
  sink.write(turned);
}

void write_stored(const WeightView& view, DType type, Sink& sink) {
  const int64_t total = count(view.shape);
  for (int64_t at = 0; at < total; at += kPiece) sink.write(converted(view, type, at, std::min(total, at + kPiece)));
}

}  // namespace

WeightFile::WeightFile(const Weights& weights, DType type, std::string name)
    : weights_(weights), type_(type), name_(std::move(name)) {}

Place WeightFile::place(const std::string& weight, Layout layout) {
  const auto [found, is_new] = by_weight_.emplace(std::pair(weight, layout), entries_.size());
  if (is_new) {
    const size_t offset = (bytes_ + kAlignment - 1) / kAlignment * kAlignment;
    const size_t size = inkstone::bytes(weights_.find(weight).shape, type_);
    entries_.push_back({weight, layout, {offset, size}});
    bytes_ = offset + size;
  }
  return entries_[found->second].place;
}

std::string WeightFile::write(const std::filesystem::path& folder,
                              const std::function<void(size_t bytes)>& written) const {
  Sink sink(folder / name_);
  for (const Entry& entry : entries_) {
    sink.pad_to(entry.place.offset);
    weights_.check_finite(entry.weight);
    const WeightView& view = weights_.find(entry.weight);
    (entry.layout == Layout::kTransposed ? write_transposed : write_stored)(view, type_, sink);
    weights_.release(entry.weight);
    if (written) written(entry.place.offset + entry.place.bytes);
  }
  return sink.finish();
}

}  // namespace inkstone::onnx_export
