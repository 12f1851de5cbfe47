// The text chunk "parameters" of an image, in the form that AUTOMATIC1111's web UI writes and reads.
#pragma once

#include <string>
#include <vector>

#include "adapters/adapter_set.h"
#include "diffusion/resolved_request.h"

namespace inkstone {

// The adapters of a model's weights, and the textual inversions that an image's prompts name, as the web UI writes them.
struct AdapterTexts {
  std::string tags;                // "<lora:style:0.8> <lora:other:1>", which it reads in a prompt
  std::string hashes;              // "style: 0123456789ab, other: ..."
  std::string embedding_hashes{};  // the same (pipeline_embeddings.h)
};
// The refiner, whose name is "" where there is none.
struct RefinerText {
  std::string name;
  float start = 0;
};
AdapterTexts adapter_texts(const std::vector<MergedAdapter>& adapters);

// prompt and adapters, a line "Negative prompt: ..." where there is one, then "Steps: 20, Sampler: PLMS, ..., Version: inkstone 0.1.0".
std::string parameters_text(const ResolvedRequest& request, const std::string& model_name,
                            const AdapterTexts& adapters = {}, const RefinerText& refiner = {});

}  // namespace inkstone
