#include "weights/checkpoint.h"

#include <utility>

namespace inkstone {

Checkpoint::Checkpoint(const std::filesystem::path& file) : file_(std::make_shared<const MappedFile>(file)) {
  ParsedTensors parsed = parse_tensors(file_->bytes(), file.string());
  unread_.insert(parsed.unread.begin(), parsed.unread.end());
  numbers_.insert(parsed.numbers.begin(), parsed.numbers.end());
  others_ = std::move(parsed.others);
  metadata_ = std::move(parsed.metadata);
  for (WeightView& view : parsed.tensors) {
    std::string name = view.name;
    tensors_.emplace(std::move(name), std::move(view));
  }
}

const Shape* Checkpoint::shape_of(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second.shape;
}

bool Checkpoint::has(const std::string& name) const { return tensors_.contains(name) || unread_.contains(name); }

bool Checkpoint::has_prefix(const std::string& prefix) const {
  const auto found = tensors_.lower_bound(prefix);
  return found != tensors_.end() && found->first.starts_with(prefix);
}

WeightView Checkpoint::view_of(const WeightView& whole, const StoredName& stored) {
  return stored.transposed ? transposed(whole) : rows_of(whole, stored.part, stored.parts);
}

Weights Checkpoint::find(std::span<const WeightSpec> specs, const Names& names) const {
  std::vector<std::pair<std::string, WeightView>> taken;
  std::vector<std::pair<std::string, std::string>> unread;
  for (const WeightSpec& spec : specs)
    for (const StoredName& stored : names(spec.name)) {
      if (const auto found = tensors_.find(stored.name); found != tensors_.end()) {
        taken.emplace_back(spec.name, view_of(found->second, stored));
        break;
      }
      if (const auto found = unread_.find(stored.name); found != unread_.end())
        unread.emplace_back(spec.name, found->second);
    }
  return Weights::of_file(file_, std::move(taken), std::move(unread));
}

Weights Checkpoint::take(std::span<const WeightSpec> specs, const Names& names) const {
  Weights weights = find(specs, names);
  weights.bind(specs);
  return weights;
}

}  // namespace inkstone
