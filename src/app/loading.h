// From options to an engine with its model, and to the request: where the layers of defaults meet.
#pragma once

#include <memory>
#include <string>

#include "adapters/adapter_set.h"
#include "app/console.h"
#include "app/options.h"
#include "diffusion/engine.h"
#include "diffusion/pipeline_adapters.h"
#include "diffusion/refine.h"

namespace inkstone {

struct Loaded {
  std::string name;                // of the model, for people: "stable-diffusion-v1-5"
  std::unique_ptr<Engine> engine;  // nothing is packed or compiled yet
  // Of --refiner; null without.
  std::unique_ptr<Engine> refiner;
  float refiner_start = 0;
  double seconds = 0;

  const Pipeline& model() const { return engine->pipeline(); }
};

// Of --lora, in their order. Throws UsageError for a strength that is none.
AdapterSet adapters_of(const Options& options);

ModelSettings settings_of(const Options& options);  // what they say of the model beside its files

// What --control says: a file or folder, and beside it a hint and how it is used. A path may hold a colon where only one
// way to cut the text names files that are there.
struct ControlOption {
  std::string path, hint;  // hint: "" where none is said
  float scale = 1, start = 0, end = 1;
};
ControlOption parse_control(const std::string& text);
// Of a command that draws nothing itself: UsageError where --control says more than a file.
void check_controls_alone(const Options& options);
// The uses that a request names, with their pictures. UsageError where one has no hint, unless it `plans` alone.
std::optional<std::vector<ControlUse>> control_uses(const Options& options, bool plans = false);
// The model that the options name, with what they replace of it, its embeddings, and the adapters merged: --lora's
// and then `more`. `refiners`: it may be a refiner too.
Pipeline open_model(const Options& options, const AdapterSet& more = {}, const MakeRoom& make_room = {},
                    bool refiners = false);

// The decoder of previews: --preview-vae's, or with --preview the model's own VAE, where that is a tiny one. open_model()
// does it.
void add_previews(Pipeline& model, const Options& options);

// UsageError for flags that cannot stand beside --refiner, or not without it.
void check_refiner(const Options& options);
Loaded load(const Options& options);
// What the refiner does of a request, with the memory of both models; nothing without --refiner.
std::optional<Refinement> refinement_of(const Loaded& loaded, const ResolvedRequest& resolved,
                                        const ImageRequest& asked);

// How many threads are to compute: --threads, or all; never more than there are processors for, which
// is said.
int thread_count(const Options& options, const Console& console);

EngineOptions engine_options(const Options& options);

// Flags and config, else the model's defaults; errors name the flag.
ResolvedRequest resolve_request(const Engine& engine, const ImageRequest& request);

}  // namespace inkstone
