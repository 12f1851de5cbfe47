// A pipeline with textual inversions, which prompts name.
#pragma once

#include <string>
#include <vector>

#include "diffusion/pipeline.h"

namespace inkstone {

struct EmbeddingSources {
  std::vector<std::string> files;
  std::string folder;         // and those below it; "": none
  bool skip_misfits = false;  // of `files`, too: they are for another model, of which this one is the second
};

// Reads the files and gives each text encoder its vectors. No Engine may have the pipeline. Throws Error naming the
// file of `files` that is no textual inversion, or was made for another model. Such a file of the folder is skipped,
// and so is one whose name another has; the pipeline says why.
void load_embeddings(Pipeline& pipeline, const EmbeddingSources& sources);

// "easynegative: c74b4e810b03, ...": as AUTOMATIC1111's web UI has them in an image's "TI hashes".
std::string embedding_hashes(const Pipeline& pipeline, const std::vector<size_t>& used);

}  // namespace inkstone
