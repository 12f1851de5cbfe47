#include "serve/worker/engine_shelf.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "diffusion/model_folder.h"
#include "serve/worker/describe_model.h"

namespace inkstone::serve {
namespace {

// Where nobody knows how much memory there is.
constexpr size_t kMostWithoutBudget = 2;

[[noreturn]] void fail_changed(const std::string& path) {
  throw FilesChanged(path + ": it is another file than when it was listed; a rescan takes it", INKSTONE_HERE);
}

void check_listed(const std::string& path, const std::string& state) {
  if (!path.empty() && !state.empty() && files_state(path) != state) fail_changed(path);
}

}  // namespace

EngineShelf::EngineShelf(std::unique_ptr<Engine> first, ShelfModels models)
    : models_(std::move(models)), options_(first->options()) {
  first_adapters_ = first->pipeline().adapters.size();
  const size_t free = first->backend().info().memory_free;
  budget_ = options_.memory_budget ? options_.memory_budget : free;
  kept_.push_back({{"", models_.first_file, {}}, std::move(first)});
}

Engine& EngineShelf::latest() { return *std::ranges::max_element(kept_, {}, &Kept::used)->engine; }

const EnginePlan& EngineShelf::reserve(const Capacity& capacity) {
  capacity_ = capacity;
  Kept& kept = kept_.front();
  const EnginePlan& plan = kept.engine->reserve(capacity);
  program_bytes_ = plan.program_bytes;
  if (!options_.memory_budget && budget_ > 0) budget_ += plan.program_bytes;
  kept.bytes = plan.peak_bytes - std::min(plan.peak_bytes, plan.program_bytes);
  return plan;
}

void EngineShelf::make_room(size_t bytes) {
  const auto over = [&] {
    size_t sum = program_bytes_ + bytes;
    for (const Kept& kept : kept_) sum += kept.bytes;
    return budget_ > 0 ? sum > budget_ : kept_.size() > kMostWithoutBudget;
  };
  while (!kept_.empty() && over()) {
    const auto oldest = std::ranges::min_element(kept_, {}, &Kept::used);
    if (leaving_) leaving_(*oldest->engine);
    kept_.erase(oldest);
    changed_ = true;
  }
}

void EngineShelf::check_files(const Kept& kept) const {
  const Variant& variant = kept.variant;
  check_listed(variant.model.path, variant.model.state);
  for (const VariantAdapter& adapter : variant.adapters) check_listed(adapter.path, adapter.state);
  if (!variant.model.path.empty() || models_.first_fingerprint.empty()) return;
  if (model_fingerprint(kept.engine->pipeline(), first_adapters_) != models_.first_fingerprint)
    throw Error("the model's files have changed since they were opened", INKSTONE_HERE, Error::Kind::kDeviceLost);
}

Pipeline EngineShelf::open(const Variant& variant) const {
  INKSTONE_CHECK(models_.open, "this worker has no other models");
  return models_.open(variant, {});
}

EngineShelf::Kept& EngineShelf::bring(const Variant& variant) {
  INKSTONE_CHECK(models_.open, "this worker has no other models");
  check_listed(variant.model.path, variant.model.state);
  for (const VariantAdapter& adapter : variant.adapters) check_listed(adapter.path, adapter.state);
  Pipeline model = models_.open(variant, [this](size_t owned) { make_room(owned); });
  EngineOptions options = options_;
  options.memory_budget = budget_;
  options.program_bytes = program_bytes_;
  auto engine = std::make_unique<Engine>(std::move(model), options);
  const EnginePlan& plan = engine->reserve(capacity_);
  const size_t bytes = plan.peak_bytes - std::min(plan.peak_bytes, plan.program_bytes);
  make_room(bytes);
  changed_ = true;
  kept_.push_back({variant, std::move(engine), bytes, ++uses_});
  return kept_.back();
}

EngineShelf::Kept& EngineShelf::found_or_brought(const Variant& variant) {
  for (Kept& kept : kept_) {
    if (!kept.variant.same_weights(variant)) continue;
    changed_ = changed_ || kept.variant.key != variant.key;
    kept.variant = variant;
    kept.used = ++uses_;
    return kept;
  }
  const auto begin = std::chrono::steady_clock::now();
  Kept& kept = bring(variant);
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return kept;
}

Engine& EngineShelf::begin(const Variant& variant) {
  Kept& kept = found_or_brought(variant);
  check_files(kept);
  return *kept.engine;
}

Engine& EngineShelf::of(const Variant& variant) { return *found_or_brought(variant).engine; }

std::optional<LoadedVariants> EngineShelf::news() {
  if (!std::exchange(changed_, false)) return {};
  LoadedVariants loaded{std::exchange(seconds_, 0), {}};
  for (const Kept& kept : kept_)
    if (!kept.variant.key.empty()) loaded.keys.push_back(kept.variant.key);
  return loaded;
}

}  // namespace inkstone::serve
