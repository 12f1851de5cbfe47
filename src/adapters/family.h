// For which kind of model an adapter was made, told by its tensors.
#pragma once

#include <string>
#include <vector>

#include "adapters/adapter_file.h"
#include "adapters/layers.h"

namespace inkstone {

// "SDXL": by the width of the text that the U-Net reads, of all text encoders together.
std::string family_of_width(int64_t width);

// Throws Error if the U-Net's cross-attention that the adapter changes reads text of another width than
// the model's: "made for SDXL: its cross-attention reads text of width 2048, this model's 768". The same of the
// width of a text encoder's layers.
void check_family(const AdapterFile& file, const std::vector<AdapterTarget>& targets);

// Why none of its layers may be the model's, by what their names tell: "made for Flux". "": they tell nothing.
std::string foreign_kind(const AdapterFile& file);

}  // namespace inkstone
