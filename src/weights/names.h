// The different names of one weight: SD 1.5's published name, transformers 5's, older diffusers'.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace inkstone {

// The name itself, then its other names in the order in which they are tried.
std::vector<std::string> known_names(const std::string& name);

// Whether this tensor is known to be in published files although no graph reads it: buffers and
// heads of the training code.
bool is_harmless_extra(const std::string& name);

// Equal, or [out, in, 1, 1] and [out, in].
bool is_same_shape(const Shape& a, const Shape& b);

}  // namespace inkstone
