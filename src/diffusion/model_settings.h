// What is said of a model beside its configuration: by marker tensors and metadata of a single file,
// or by the caller, who is nearer.
#pragma once

#include <optional>
#include <string>

#include "diffusion/model_traits.h"
#include "diffusion/scheduler.h"
#include "weights/checkpoint.h"

namespace inkstone {

struct ModelSettings {
  std::optional<PredictionType> prediction{};
  // Whether its noise schedule ends without any signal (diffusers: rescale_betas_zero_snr).
  std::optional<bool> zero_snr{};
  // Which kind of few steps it was distilled to, and the count: "lightning:4"; "none" (few_step.h).
  std::optional<std::string> few_step{};
};

// Of the file that has the U-Net. Empty tensors of the names v_pred and ztsnr mark a model that
// predicts v and one of zero terminal SNR; the metadata's modelspec.prediction_type counts where
// there is no marker. Throws Error for the markers of models that are not run (CosXL, Playground 2.5).
ModelSettings settings_of(const Checkpoint& file, const std::string& source);

// What its metadata call it (ModelSpec's title and architecture); "" where there are none.
std::string title_of(const Checkpoint& file);

// Puts them into the scheduler's configuration. A schedule that ends without signal begins at its
// last timestep (trailing), and takes Euler in place of a class that does not know such a schedule.
void apply(const ModelSettings& settings, ModelTraits& traits);

// Throws UsageError if the model is told to predict noise where there is nothing but noise.
void check_settings(const ModelSettings& said, const ModelTraits& traits);

// A sentence for a model whose name says that it predicts v and which does not; else "".
std::string prediction_hint(const std::string& name, const ModelTraits& traits);

}  // namespace inkstone
