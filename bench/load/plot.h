// The run as an image: an SVG of its own, for any browser.
#pragma once

#include <string>
#include <vector>

#include "load/record.h"

namespace inkstone {

// Requests a second over the run, how many were open, and which part of the images came within how
// many seconds.
std::string plot_of(const std::vector<Record>& records, const std::string& title);

}  // namespace inkstone
