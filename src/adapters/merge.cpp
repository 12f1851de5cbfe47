#include "adapters/merge.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "adapters/arithmetic.h"
#include "adapters/family.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include "weights/finite.h"

namespace inkstone {
namespace {

constexpr int64_t kRoundingGrain = 1 << 16;  // elements for one thread at least

struct KindTell {
  Part part;
  ChangeKind kind;
};
// A part that only this kind has. A weight has one kind; a difference of it is one, too.
constexpr KindTell kTells[] = {
    {Part::kUp, ChangeKind::kLora},        {Part::kDown, ChangeKind::kLora},    {Part::kMid, ChangeKind::kLora},
    {Part::kHadaW1A, ChangeKind::kLoha},   {Part::kHadaW1B, ChangeKind::kLoha}, {Part::kHadaW2A, ChangeKind::kLoha},
    {Part::kHadaW2B, ChangeKind::kLoha},   {Part::kHadaT1, ChangeKind::kLoha},  {Part::kHadaT2, ChangeKind::kLoha},
    {Part::kLokrW1, ChangeKind::kLokr},    {Part::kLokrW1A, ChangeKind::kLokr}, {Part::kLokrW1B, ChangeKind::kLokr},
    {Part::kLokrW2, ChangeKind::kLokr},    {Part::kLokrW2A, ChangeKind::kLokr}, {Part::kLokrW2B, ChangeKind::kLokr},
    {Part::kLokrT2, ChangeKind::kLokr},    {Part::kIa3, ChangeKind::kIa3},      {Part::kDiff, ChangeKind::kFull},
    {Part::kNormWeight, ChangeKind::kFull}};

// Nothing: the layer's parts change no weight.
std::optional<ChangeKind> kind_of(const AdapterFile& file, const LayerParts& parts) {
  std::optional<ChangeKind> kind;
  const WeightView* by = nullptr;
  for (const KindTell& tell : kTells) {
    const WeightView* view = parts.find(tell.part);
    if (!view) continue;
    INKSTONE_CHECK(!kind || *kind == tell.kind, file.source(), ": ", shown(by->name), " and ", shown(view->name),
                   " are of two kinds for one weight");
    kind = tell.kind;
    by = view;
  }
  return kind;
}

std::string kinds_text(const std::map<ChangeKind, int>& counts) {
  std::string text;
  for (const auto& [kind, number] : counts)
    text += (text.empty() ? "" : ", ") + std::to_string(number) + " " + name_of(kind);
  return text;
}

std::string ignored_text(const std::vector<std::string>& stems, const char* why) {
  return std::to_string(stems.size()) + (stems.size() == 1 ? " of its layers is " : " of its layers are ") + why +
         " and ignored: " + first_few(stems);
}

// A part without numbers for a weight: an alpha or a magnitude alone.
bool is_bare(const LayerParts& parts) { return parts.tensors.empty(); }

}  // namespace

MergePlan::MergePlan(std::vector<AdapterTarget> targets, const AdapterSet& set) : targets_(std::move(targets)) {
  for (const AdapterTarget& target : targets_) {
    std::map<std::string, Shape>& shapes = shapes_.emplace_back();
    for (WeightSpec& spec : target.weights->specs()) shapes.emplace(std::move(spec.name), std::move(spec.shape));
  }
  const LayerNames names(targets_);
  for (const AdapterUse& use : set) {
    files_.push_back(std::make_unique<AdapterFile>(use.path));
    const AdapterFile& file = *files_.back();
    adapters_.push_back({use, file.name(), file.hash(), "", {}});
    counts_.emplace_back();
    add_file(adapters_.size() - 1, file, names);
    adapters_.back().kinds = kinds_text(counts_.back());
    const auto same = [&](const MergedAdapter& other) { return other.hash == adapters_.back().hash; };
    if (std::ranges::count_if(adapters_, same) == 2)
      adapters_.back().warnings.push_back("it is there twice; both strengths are applied");
  }
}

// A layer that stands under both of SDXL's namings counts once, under diffusers' name.
void MergePlan::add_file(size_t number, const AdapterFile& file, const LayerNames& names) {
  check_family(file, targets_);
  std::map<std::pair<size_t, std::string>, std::pair<const Layer*, std::string>> found;
  std::vector<std::string> foreign, foreign_text, doubled;
  bool unread = false;
  for (const auto& [stem, parts] : file.layers()) {
    const Layer* layer = names.find(stem);
    if (!layer) {
      (names_text_encoder(stem) ? foreign_text : foreign).push_back(stem);
      continue;
    }
    if (layer->unread) {
      unread = true;
      continue;
    }
    const auto [place, is_new] = found.emplace(std::pair(layer->target, layer->path), std::pair(layer, stem));
    if (is_new) continue;
    auto& [had, had_stem] = place->second;
    INKSTONE_CHECK(had->ldm != layer->ldm, file.source(), ": ", shown(had_stem), " and ", shown(stem),
                   " are the same layer, ", layer->path);
    doubled.push_back(layer->ldm ? stem : had_stem);
    if (had->ldm) place->second = {layer, stem};
  }
  const size_t all = file.layers().size();
  if (found.empty() && !unread) {
    const std::string made_for = foreign_kind(file);
    fail(INKSTONE_HERE, {file.source(), ": ", made_for, made_for.empty() ? "" : ": ",
                         all ? "none of its layers is this model's; the first is " : "it has no adapter's tensors",
                         all ? shown(file.layers().begin()->first) : ""});
  }
  for (const auto& [place, layer] : found) add_layer(number, file, *layer.first, file.layers().at(layer.second));
  std::vector<std::string>& warnings = adapters_[number].warnings;
  if (!foreign_text.empty())
    warnings.push_back(ignored_text(foreign_text, "of a text encoder's layers that this model lacks"));
  if (!foreign.empty()) warnings.push_back(ignored_text(foreign, "not this model's"));
  if (!doubled.empty()) warnings.push_back(ignored_text(doubled, "there under another name too"));
  if (!file.unknown().empty())
    warnings.push_back(
        std::to_string(file.unknown().size()) +
        " of its tensors are ignored, because their names say no part of an adapter: " + first_few(file.unknown()));
}

const Shape& MergePlan::shape_of(const AdapterFile& file, const Target& target, const LayerParts& parts) const {
  const auto& shapes = shapes_[target.first];
  const auto found = shapes.find(target.second);
  INKSTONE_CHECK(found != shapes.end(), file.source(), ": ", shown(parts.tensors.begin()->second.name), " is for ",
                 target.second, ", which this model has not");
  return found->second;
}

void MergePlan::add_step(const Target& target, Step step) {
  ++counts_[step.adapter][step.change.kind];
  steps_[target].push_back(std::move(step));
}

void MergePlan::add_layer(size_t number, const AdapterFile& file, const Layer& layer, const LayerParts& parts) {
  INKSTONE_CHECK(!is_bare(parts), file.source(), ": there are an alpha or other numbers for ", layer.path,
                 ", and no tensor: the file is incomplete");
  const Target weight{layer.target, layer.path + ".weight"}, bias{layer.target, layer.path + ".bias"};
  const std::optional<ChangeKind> kind = kind_of(file, parts);
  bool changes = false;
  if (kind) {
    const Shape& shape = shape_of(file, weight, parts);
    changes = true;
    if (*kind == ChangeKind::kFull)
      add_step(weight,
               {number, difference_of(file, parts, parts.find(Part::kDiff) ? Part::kDiff : Part::kNormWeight, shape)});
    else
      add_step(weight, {number, change_of(file, parts, *kind, {targets_[layer.target].name, layer.path, shape})});
  }
  for (const Part part : {Part::kDiffBias, Part::kNormBias}) {
    if (!parts.find(part)) continue;
    changes = true;
    add_step(bias, {number, difference_of(file, parts, part, shape_of(file, bias, parts))});
  }
  INKSTONE_CHECK(changes, file.source(), ": ", shown(parts.tensors.begin()->second.name),
                 " stands alone: the file is incomplete");
}

float MergePlan::strength(const Target& target, const Step& step) const {
  const AdapterUse& use = adapters_[step.adapter].use;
  return targets_[target.first].is_text() ? use.text : use.unet;
}

size_t MergePlan::owned_bytes() const {
  size_t sum = 0;
  for (const auto& [target, steps] : steps_) {
    const auto counts = [&, at = &target](const Step& step) { return strength(*at, step) != 0; };
    if (std::ranges::any_of(steps, counts))
      sum += bytes(shapes_[target.first].at(target.second), targets_[target.first].weights->file_type(target.second));
  }
  return sum;
}

void MergePlan::restore() {
  for (const AdapterTarget& target : targets_) target.weights->restore();
}

void MergePlan::run() {
  restore();
  std::vector<float> buffer;
  try {
    for (const auto& [target, steps] : steps_) merge(target, steps, buffer);
  } catch (...) {
    restore();
    throw;
  }
}

void MergePlan::merge(const Target& target, const std::vector<Step>& steps, std::vector<float>& buffer) {
  Weights& weights = *targets_[target.first].weights;
  const std::string& name = target.second;
  const WeightView view = weights.find(name);
  const auto size = static_cast<size_t>(count(view.shape));
  if (buffer.size() < size) buffer.resize(size);
  const std::span<float> floats(buffer.data(), size);
  bool changed = false;
  for (const Step& step : steps) {
    const float strength = this->strength(target, step);
    if (strength == 0) continue;
    if (!changed) {
      weights.check_finite(name);
      finite_to_float(view.type, view.bytes, floats);
      changed = true;
    }
    WeightMatrix matrix(view.shape, floats);
    apply(step.change, strength, matrix);
  }
  if (!changed) return;
  Tensor merged(view.shape, view.type);
  parallel_for(static_cast<int64_t>(size), kRoundingGrain, [&](int64_t begin, int64_t end) {
    round_to(view.type, floats.data() + begin, merged.data() + static_cast<size_t>(begin) * size_of(view.type),
             end - begin);
  });
  const auto bad = first_not_finite(view.type, {merged.data(), merged.bytes()});
  INKSTONE_CHECK(!bad, steps.back().change.source, ": with it, ", name, " is ",
                 static_cast<double>(floats[static_cast<size_t>(bad.value_or(0))]), ", which ", name_of(view.type),
                 " cannot hold: choose a smaller strength");
  weights.release(name);
  weights.replace(name, std::move(merged));
}

}  // namespace inkstone
