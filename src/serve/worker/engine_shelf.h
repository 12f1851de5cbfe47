// The engines that a worker keeps: one for each variant that was asked for lately, as many as the
// memory budget holds together. Each is planned to fit by itself; the one that was used longest ago
// goes first.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "diffusion/engine.h"
#include "diffusion/pipeline_adapters.h"
#include "serve/wire/variant.h"
#include "serve/worker/faults.h"

namespace inkstone::serve {

// Opens a variant's model with its adapters merged. `make_room` is told how many bytes the merged
// weights will take, before they are made.
using OpenVariant = std::function<Pipeline(const Variant& variant, const MakeRoom& make_room)>;

struct ShelfModels {
  // Of the model that the worker was started with: its file, if no flag changes anything of it.
  ModelFile first_file;
  std::string first_fingerprint;  // empty: it is not looked whether its files change
  OpenVariant open;               // unset: there is only that one
};

class EngineShelf {
 public:
  EngineShelf(std::unique_ptr<Engine> first, ShelfModels models);

  const ModelFile& first_file() const { return models_.first_file; }
  Engine& latest();                             // the one that was used last, or the first
  Pipeline open(const Variant& variant) const;  // to be looked at
  // Told of an engine that is about to go: its jobs must hold nothing of it afterwards.
  void on_leaving(std::function<void(Engine& engine)> leaving) { leaving_ = std::move(leaving); }
  // Plans the first one's memory, and later that of each other, for this.
  const EnginePlan& reserve(const Capacity& capacity);
  // The engine for a job that begins: its files are looked at. FilesChanged where they are others;
  // kDeviceLost where it is the model that the worker was started with.
  Engine& begin(const Variant& variant);
  // The same for a job that goes on.
  Engine& of(const Variant& variant);
  // What is there, if that has changed since the last call; bringing it in took so many seconds.
  std::optional<LoadedVariants> news();

 private:
  struct Kept {
    Variant variant;
    std::unique_ptr<Engine> engine;
    size_t bytes = 0;  // at most, as planned, besides the program's own
    uint64_t used = 0;
  };

  Kept& found_or_brought(const Variant& variant);
  Kept& bring(const Variant& variant);
  void check_files(const Kept& kept) const;
  // Engines that were used longest ago go until so many bytes fit beside the others.
  void make_room(size_t bytes);

  const ShelfModels models_;
  const EngineOptions options_;  // of the first
  std::list<Kept> kept_;
  std::function<void(Engine&)> leaving_;
  Capacity capacity_;
  // For all together; 0: nobody knows how much there is. The program's own bytes are in it.
  size_t budget_ = 0, program_bytes_ = 0;
  size_t first_adapters_ = 0;  // of the worker's flags
  uint64_t uses_ = 0;
  double seconds_ = 0;
  bool changed_ = false;
};

}  // namespace inkstone::serve
