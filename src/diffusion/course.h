// What is asked of the U-Net in each call of a picture: with or without the unconditional half, whole or shallow. It follows
// from the request alone, so that a picture does not depend on its company.
#pragma once

#include <vector>

#include "diffusion/request.h"
#include "models/unet.h"

namespace inkstone {

struct UnetCall {
  int copies = 1;  // rows of its batch: 2 with the unconditional half
  UnetPart part = UnetPart::kWhole;
  auto operator<=>(const UnetCall&) const = default;
};

// `guided`: in this picture there is an unconditional half at all. Whole are the calls 0, N, 2N, ... of the cache interval N,
// counted as the scheduler makes them (PNDM calls twice at its second timestep, and both count), and any call in which guidance
// sets in: before it nobody made the unconditional half's deep feature.
std::vector<UnetCall> course_of(const Request& request, bool guided, int calls);

}  // namespace inkstone
