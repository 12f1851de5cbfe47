// The names one weight goes by: as SD 1.5 publishes it, as transformers 5 writes it, as older diffusers wrote it.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace inkstone {

// The name itself first, then its other names in the order they are tried.
std::vector<std::string> known_names(const std::string& name);

// Known to stand in published files though no graph reads it: buffers and heads of the training code.
bool is_harmless_extra(const std::string& name);

// Equal, or [out, in, 1, 1] and [out, in].
bool is_same_shape(const Shape& a, const Shape& b);

}  // namespace inkstone
