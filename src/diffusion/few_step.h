// Models that were distilled to draw in few steps: what they are run with, and how they are known.
// Their tensors are those of the models that they were made of, so their name has to tell, or the
// caller.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/model_traits.h"

namespace inkstone {

struct FewStepKind {
  const char* name;   // of --few-step: "lightning"
  const char* label;  // "Lightning"
  // A model is of the kind if its name, as letters and digits alone, has one of the words; they begin and end where the
  // name has another sign, or changes between small and capital letters.
  const char* words;
  const char* words_with_steps;  // they count only beside a number of steps
  const char* scheduler;         // its class in diffusers
  const char* spacing;           // of timesteps; "": the class's own
  int steps;                     // where its name says none
  float guidance;
  int pixels;                  // a side of its images; 0: as of the model that it was made of
  bool one_count = false;      // each file draws at the step count alone that it was made for
  bool own_scheduler = false;  // the scheduler is for such models alone
  bool image_at_one = false;   // the files of one step predict the image (prediction_type sample)
};

// What a model is, and how that is known.
struct FewStep {
  const FewStepKind* kind;  // nullptr: none, as the caller says
  int steps = 0;            // that it was made for; 0: not said
  std::string known_by;     // "by its name"
};

// "sdxl_lightning_4step_unet" -> Lightning of 4 steps; nothing where the name tells of none.
std::optional<FewStep> few_step_of_name(std::string_view name, const std::string& known_by = "by its name");
// "lightning", "lightning:4" or "none". Throws UsageError for what is none.
FewStep few_step_of_flag(const std::string& text);
std::vector<std::string> few_step_choices();  // "lightning:N"
// Of a file whose class is for such models alone: LCM and TCD.
std::optional<FewStep> few_step_of_scheduler(const ModelTraits& traits);
const FewStepKind& distilled_guidance();  // of a U-Net that takes the guidance as an input

// A sentence for a model that is made of such models, as many are, and draws by recipes of its own.
std::string few_step_hint(std::string_view name);

// The model's defaults become those of the kind; its scheduler too, if `with_scheduler`.
void apply(const FewStep& what, bool with_scheduler, ModelTraits& traits);

}  // namespace inkstone
