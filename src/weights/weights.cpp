#include "weights/weights.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/digest.h"
#include "base/error.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "weights/finite.h"
#include "weights/names.h"

namespace inkstone {
namespace {

// "; 3 missing (a, b, c)"; nothing if the list is empty.
std::string listed_faults(const std::vector<std::string>& items, const char* what) {
  constexpr size_t kShown = 20;
  if (items.empty()) return "";
  return "; " + std::to_string(items.size()) + " " + what + " (" + listed(items, kShown) + ")";
}

}  // namespace

void Weights::add_file(const std::filesystem::path& file) {
  files_.push_back(std::make_shared<const MappedFile>(file));
  ParsedTensors parsed = parse_tensors(files_.back()->bytes(), file.string());
  for (WeightView& view : parsed.tensors) {
    const auto found = by_name_.find(view.name);
    INKSTONE_CHECK(found == by_name_.end(), file.string(), ": the tensor ", shown(view.name), " stands in ",
                   files_[static_cast<size_t>(entries_[found->second].file)]->path().string(), " too");
    const std::string name = view.name;
    add_view(name, std::move(view));
  }
  unread_.insert(parsed.unread.begin(), parsed.unread.end());
}

void Weights::add_view(const std::string& name, WeightView view) {
  by_name_.emplace(name, entries_.size());
  std::shared_ptr<const CopiedWeight> copy;
  if (!view.form.is_plain()) copy = std::make_shared<const CopiedWeight>(view, files_.back());
  entries_.push_back({std::move(view), static_cast<int>(files_.size()) - 1, std::move(copy)});
}

Weights Weights::of_file(std::shared_ptr<const MappedFile> file,
                         std::vector<std::pair<std::string, WeightView>> tensors,
                         std::vector<std::pair<std::string, std::string>> unread) {
  Weights weights;
  weights.source_ = file->path().string();
  weights.files_.push_back(std::move(file));
  for (auto& [name, view] : tensors) weights.add_view(name, std::move(view));
  weights.unread_.insert(unread.begin(), unread.end());
  return weights;
}

void Weights::join(Weights other) {
  const int files = static_cast<int>(files_.size());
  std::ranges::move(other.files_, std::back_inserter(files_));
  std::ranges::move(other.memory_, std::back_inserter(memory_));
  for (const auto& [name, at] : other.by_name_) {
    Entry& entry = other.entries_[at];
    if (entry.file != kInMemory) entry.file += files;
    INKSTONE_CHECK(by_name_.emplace(name, entries_.size()).second, source(entry), " is in ", source_, " too");
    entries_.push_back(std::move(entry));
  }
  unread_.merge(other.unread_);
}

Weights Weights::of(std::vector<std::pair<std::string, Tensor>> tensors) {
  Weights weights;
  weights.source_ = "weights in memory";
  for (auto& [name, tensor] : tensors) {
    INKSTONE_CHECK(tensor.type() != DType::kI32, "the weight ", name, " has the type ", name_of(tensor.type()));
    INKSTONE_CHECK(weights.by_name_.emplace(name, weights.entries_.size()).second, "the weight ", name,
                   " is given twice");
    const Tensor& kept = weights.memory_.emplace_back(std::move(tensor));
    weights.entries_.push_back({{name, kept.shape(), kept.type(), {kept.data(), kept.bytes()}}, kInMemory});
  }
  return weights;
}

void Weights::bind(std::span<const WeightSpec> specs) {
  std::vector<std::string> missing, misshapen, unused;
  std::vector<bool> used(entries_.size());
  bound_.clear();
  replaced_.clear();
  for (const WeightSpec& spec : specs) {
    std::string stored_otherwise;
    auto found = by_name_.end();
    for (const std::string& name : known_names(spec.name)) {
      if (found = by_name_.find(name); found != by_name_.end()) break;
      if (const auto other = unread_.find(name); other != unread_.end())
        stored_otherwise = " [stored as " + other->second + "; F32, F16, BF16 and fp8 are read]";
    }
    if (found == by_name_.end()) {
      missing.push_back(spec.name + stored_otherwise);
      continue;
    }
    WeightView& view = entries_[found->second].view;
    used[found->second] = true;
    if (is_same_shape(view.shape, spec.shape)) {
      view.shape = spec.shape;
      if (!view.form.strides.empty()) view.form.strides.resize(spec.shape.size(), 1);  // axes of one element
    } else {
      misshapen.push_back(shown(view.name) + " is " + to_string(view.shape) + ", the model needs " +
                          to_string(spec.shape));
    }
    bound_[spec.name] = found->second;
  }
  for (size_t i = 0; i < entries_.size(); ++i)
    if (!used[i] && !is_harmless_extra(entries_[i].view.name)) unused.push_back(shown(entries_[i].view.name));
  INKSTONE_CHECK(missing.empty() && misshapen.empty(), source_, ": the weights do not fit the model",
                 listed_faults(missing, "missing"), listed_faults(misshapen, "misshapen"),
                 listed_faults(unused, "unused"));
}

const Weights::Entry& Weights::entry(const std::string& name) const {
  if (const auto found = replaced_.find(name); found != replaced_.end()) return found->second.entry;
  if (const auto found = bound_.find(name); found != bound_.end()) return entries_[found->second];
  const auto found = by_name_.find(name);
  INKSTONE_CHECK(found != by_name_.end(), source_, ": there is no tensor ", name);
  return entries_[found->second];
}

std::string Weights::source(const Entry& entry) const {
  const std::string place = entry.file < 0 ? source_ : files_[static_cast<size_t>(entry.file)]->path().string();
  return place + ": the tensor " + shown(entry.view.name);
}

const WeightView& Weights::find(const std::string& name) const {
  const Entry& at = entry(name);
  return at.copy ? at.copy->view(at.view.shape) : at.view;
}

StoredWeight Weights::stored(const std::string& name) const {
  const Entry& at = entry(name);
  return {&at.view, at.file < 0 ? nullptr : files_[static_cast<size_t>(at.file)]};
}

void Weights::replace(const std::string& name, Tensor tensor) {
  const auto found = bound_.find(name);
  INKSTONE_CHECK(found != bound_.end(), source_, ": there is no tensor ", name, " to replace");
  const WeightView& old = entries_[found->second].view;
  INKSTONE_CHECK(tensor.shape() == old.shape && tensor.type() != DType::kI32, source_, ": the tensor ", name, " is ",
                 to_string(old.shape), ", its replacement ", to_string(tensor.shape()), " of ", name_of(tensor.type()));
  const WeightView view{old.name, tensor.shape(), tensor.type(), {tensor.data(), tensor.bytes()}};
  replaced_.insert_or_assign(name, Replacement{std::move(tensor), {view, kInMemory}});
}

DType Weights::file_type(const std::string& name) const {
  const auto found = bound_.find(name);
  INKSTONE_CHECK(found != bound_.end(), source_, ": there is no tensor ", name);
  return entries_[found->second].view.type;
}

void Weights::restore() { replaced_.clear(); }

size_t Weights::owned_bytes() const {
  size_t bytes = 0;
  for (const auto& [name, replacement] : replaced_) bytes += replacement.tensor.bytes();
  const auto add = [&](const Entry& at) { bytes += at.copy ? at.copy->bytes() : 0; };
  if (bound_.empty()) std::ranges::for_each(entries_, add);
  for (const auto& [name, index] : bound_) add(entries_[index]);
  return bytes;
}

size_t Weights::made_bytes() const {
  size_t bytes = 0;
  for (const auto& [name, replacement] : replaced_) bytes += replacement.tensor.bytes();
  for (const Entry& at : entries_) bytes += at.copy && at.copy->is_made() ? at.copy->bytes() : 0;
  return bytes;
}

bool Weights::is_owned(const std::string& name) const { return replaced_.contains(name) || entry(name).copy; }

std::vector<WeightSpec> Weights::specs() const {
  std::vector<WeightSpec> specs;
  for (const auto& [name, index] : bound_) specs.push_back({name, entries_[index].view.shape});
  return specs;
}

void Weights::check_finite(const std::string& name) const {
  const WeightView& view = find(name);
  const auto index = first_not_finite(view.type, view.bytes);
  INKSTONE_CHECK(!index, source(entry(name)), " has a NaN or an infinity at element ", index.value_or(0), " of ",
                 to_string(view.shape), ": the model is damaged, download it again or use another");
}

Tensor Weights::read(const std::string& name) const {
  check_finite(name);
  const WeightView& view = find(name);
  Tensor tensor(view.shape);
  finite_to_float(view.type, view.bytes, tensor.floats());
  return tensor;
}

void Weights::release(const std::string& name) const {
  const Entry& at = entry(name);
  if (at.file < 0 || at.copy) return;
  const MappedFile& file = *files_[static_cast<size_t>(at.file)];
  file.release(static_cast<size_t>(at.view.bytes.data() - file.bytes().data()), at.view.bytes.size());
}

std::vector<std::string> Weights::names() const {
  std::vector<std::string> names;
  for (const Entry& at : entries_) names.push_back(at.view.name);
  return names;
}

std::string Weights::fingerprint() const {
  constexpr size_t kEnds = 256;
  Digest digest;
  const auto add = [&](const std::string& name, const WeightView& view) {
    const std::string text = name + to_string(view.shape) + name_of(view.type) +
                             (view.form.strides.empty() ? "" : to_string(view.form.strides)) + ";";
    digest.add(std::as_bytes(std::span(text)));
    digest.add(view.bytes.first(std::min(kEnds, view.bytes.size())));
    digest.add(view.bytes.last(std::min(kEnds, view.bytes.size())));
  };
  for (const auto& [name, index] : by_name_) add(name, entries_[index].view);
  for (const auto& [name, replacement] : replaced_) add("overlay " + name, replacement.entry.view);
  return digest.text();
}

size_t Weights::total_bytes() const {
  size_t total = 0;
  for (const Entry& at : entries_) total += at.view.bytes.size();
  return total;
}

DType Weights::type() const {
  std::array<size_t, 4> bytes_of{};
  const auto add = [&](const Entry& at) { bytes_of[static_cast<size_t>(at.view.type)] += at.view.bytes.size(); };
  if (bound_.empty()) std::ranges::for_each(entries_, add);
  for (const auto& [name, index] : bound_) add(entry(name));
  return static_cast<DType>(std::ranges::max_element(bytes_of) - bytes_of.begin());
}

}  // namespace inkstone
