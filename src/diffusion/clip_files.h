// data/clip: the merges of CLIP's tokenizer, which single-file checkpoints lack.
#pragma once

#include "base/embedded_file.h"

namespace inkstone {

std::span<const EmbeddedFile> clip_files();  // merges.txt alone

}  // namespace inkstone
