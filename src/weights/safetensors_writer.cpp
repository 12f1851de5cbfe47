#include "weights/safetensors_writer.h"

#include <algorithm>

#include "base/error.h"
#include "weights/convert.h"
#include "weights/finite.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

constexpr int64_t kWrittenPiece = int64_t{1} << 22;  // elements

DType type_of(const TensorToWrite& tensor) { return tensor.type.value_or(tensor.view.type); }

size_t element_bytes(const TensorToWrite& tensor) {
  const auto elements = static_cast<size_t>(count(tensor.view.shape));
  if (!tensor.other.empty()) return elements ? tensor.view.bytes.size() / elements : 0;
  return size_of(type_of(tensor));
}

class Writing {
 public:
  Writing(const std::filesystem::path& path, const WriteWatcher& watcher) : file_(path), watcher_(watcher) {}

  void write(std::span<const std::byte> bytes) { file_.write(bytes); }

  void write(const TensorToWrite& tensor) {
    if (!tensor.other.empty()) {
      write_bytes(tensor.view.bytes);
    } else {
      int64_t first = 0;
      write_view(tensor, tensor.view, first);
      for (const WeightView& view : tensor.more) write_view(tensor, view, first);
    }
  }

  void finish() { file_.finish(); }

 private:
  void write_bytes(std::span<const std::byte> bytes) {
    file_.write(bytes);
    done_ += bytes.size();
    if (watcher_.written) watcher_.written(done_);
  }

  // `first`: elements of the tensor before this view's.
  void write_view(const TensorToWrite& tensor, WeightView view, int64_t& first) {
    const std::span<const std::byte> stored = view.bytes;
    Memory copied;
    if (!view.form.is_plain()) {
      const size_t size = bytes(view.shape, view.type);
      copied = allocate(size);
      copy_elements(view, copied.get());
      view.form = {};
      view.bytes = {copied.get(), size};
    }
    const int64_t total = count(view.shape);
    const size_t element = size_of(view.type);
    for (int64_t at = 0; at < total; at += kWrittenPiece) {
      const int64_t end = std::min(total, at + kWrittenPiece);
      const auto piece = view.bytes.subspan(static_cast<size_t>(at) * element, static_cast<size_t>(end - at) * element);
      if (const auto bad = watcher_.not_finite ? first_not_finite(view.type, piece) : std::nullopt)
        watcher_.not_finite(tensor, first + at + *bad);
      write_bytes(converted(view, at, end, type_of(tensor), "write it as bf16 or fp32"));
    }
    first += total;
    if (tensor.file && !stored.empty())
      tensor.file->release(static_cast<size_t>(stored.data() - tensor.file->bytes().data()), stored.size());
  }

  FileWriter file_;
  const WriteWatcher& watcher_;
  size_t done_ = 0;
};

}  // namespace

Shape shape_of(const TensorToWrite& tensor) {
  if (tensor.shape) return *tensor.shape;
  return tensor.view.shape;
}

size_t written_bytes(const TensorToWrite& tensor) {
  return static_cast<size_t>(count(shape_of(tensor))) * element_bytes(tensor);
}

void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata, const WriteWatcher& watcher) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::ranges::stable_sort(order, std::greater(), [](const TensorToWrite* t) { return element_bytes(*t); });
  std::vector<StoredTensor> stored;
  for (const TensorToWrite* tensor : order) {
    int64_t elements = count(tensor->view.shape);
    for (const WeightView& view : tensor->more) elements += count(view.shape);
    INKSTONE_CHECK(elements == count(shape_of(*tensor)), "safetensors: ", tensor->name, " has ", elements,
                   " elements, not ", to_string(shape_of(*tensor)));
    stored.push_back({tensor->name, shape_of(*tensor), type_of(*tensor), tensor->other});
  }
  const std::string header = safetensors_header(stored, metadata);
  Writing file(path, watcher);
  file.write(std::as_bytes(std::span(header)));
  for (const TensorToWrite* tensor : order) file.write(*tensor);
  file.finish();
}

}  // namespace inkstone
