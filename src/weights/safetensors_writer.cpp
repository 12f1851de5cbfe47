#include "weights/safetensors_writer.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "weights/convert.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

constexpr int64_t kWrittenPiece = int64_t{1} << 22;  // elements

DType type_of(const TensorToWrite& tensor) { return tensor.type.value_or(tensor.view.type); }

void write_tensor(const TensorToWrite& tensor, FileWriter& file) {
  WeightView view = tensor.view;
  Memory copied;
  if (!view.form.is_plain()) {
    const size_t size = bytes(view.shape, view.type);
    copied = allocate(size);
    copy_elements(view, copied.get());
    view.form = {};
    view.bytes = {copied.get(), size};
  }
  const int64_t total = count(view.shape);
  for (int64_t at = 0; at < total; at += kWrittenPiece)
    file.write(converted(view, at, std::min(total, at + kWrittenPiece), type_of(tensor), "write it as bf16 or fp32"));
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata,
                       const std::function<void(size_t bytes)>& written) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::ranges::stable_sort(order, std::greater(), [](const TensorToWrite* t) { return size_of(type_of(*t)); });
  std::vector<StoredTensor> stored;
  for (const TensorToWrite* tensor : order) stored.push_back({tensor->name, tensor->view.shape, type_of(*tensor)});
  const std::string header = safetensors_header(stored, metadata);
  FileWriter file(path);
  file.write(std::as_bytes(std::span(header)));
  size_t done = 0;
  for (const TensorToWrite* tensor : order) {
    write_tensor(*tensor, file);
    done += bytes(tensor->view.shape, type_of(*tensor));
    if (written) written(done);
  }
  file.finish();
}

}  // namespace inkstone
