#include "weights/checkpoint.h"

#include <utility>

#include "weights/safetensors.h"

namespace inkstone {
namespace {

// [rows, columns] -> [columns, rows]
Tensor transposed(std::span<const float> matrix, int64_t rows, int64_t columns) {
  Tensor out({columns, rows});
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      out.floats()[column * rows + row] = matrix[row * columns + column];
  return out;
}

}  // namespace

Checkpoint::Checkpoint(const std::filesystem::path& file) : file_(std::make_shared<const MappedFile>(file)) {
  Safetensors parsed = parse_safetensors(file_->bytes(), file.string());
  unread_.insert(parsed.unread.begin(), parsed.unread.end());
  for (WeightView& view : parsed.tensors) {
    std::string name = view.name;
    tensors_.emplace(std::move(name), std::move(view));
  }
}

const Shape* Checkpoint::shape_of(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second.shape;
}

bool Checkpoint::has_prefix(const std::string& prefix) const {
  const auto found = tensors_.lower_bound(prefix);
  return found != tensors_.end() && found->first.starts_with(prefix);
}

WeightView Checkpoint::view_of(const WeightView& whole, const StoredName& stored) {
  WeightView view = whole;
  if (stored.transposed && view.shape.size() == 2) std::swap(view.shape[0], view.shape[1]);
  if (stored.parts == 1 || view.shape.empty() || view.shape[0] % stored.parts) return view;
  view.shape[0] /= stored.parts;
  const size_t bytes = view.bytes.size() / static_cast<size_t>(stored.parts);
  view.bytes = view.bytes.subspan(static_cast<size_t>(stored.part) * bytes, bytes);
  return view;
}

Weights Checkpoint::take(std::span<const WeightSpec> specs, const Names& names) const {
  std::vector<std::pair<std::string, WeightView>> taken;
  std::vector<std::pair<std::string, std::string>> unread;
  std::vector<std::string> turned;
  for (const WeightSpec& spec : specs)
    for (const StoredName& stored : names(spec.name)) {
      if (const auto found = tensors_.find(stored.name); found != tensors_.end()) {
        taken.emplace_back(spec.name, view_of(found->second, stored));
        if (stored.transposed) turned.push_back(spec.name);
        break;
      }
      if (const auto found = unread_.find(stored.name); found != unread_.end())
        unread.emplace_back(spec.name, found->second);
    }
  Weights weights = Weights::of_file(file_, std::move(taken), std::move(unread));
  weights.bind(specs);
  for (const std::string& name : turned) {  // until here with the shape alone exchanged
    const Tensor stored = weights.read(name);
    weights.replace(name, transposed(stored.floats(), stored.dim(1), stored.dim(0)));
  }
  return weights;
}

}  // namespace inkstone
