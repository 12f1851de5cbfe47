#include "onnx/weight_file.h"

#include <algorithm>
#include <cstring>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "weights/convert.h"

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

constexpr const char* kExportWider = "export with --precision fp32";

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
  const std::vector<std::byte> stored = converted(view, 0, rows * columns, type, kExportWider);
  std::vector<std::byte> turned(stored.size());
  (type == DType::kF32 ? transpose<uint32_t> : transpose<uint16_t>)(stored.data(), turned.data(), rows, columns);
  sink.write(turned);
}

void write_stored(const WeightView& view, DType type, Sink& sink) {
  const int64_t total = count(view.shape);
  for (int64_t at = 0; at < total; at += kPiece)
    sink.write(converted(view, at, std::min(total, at + kPiece), type, kExportWider));
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
