// How much work an image is, in floating point operations of the model as it is written: known
// before anything has run.
#pragma once

#include "diffusion/pipeline.h"

namespace inkstone {

struct WorkEstimate {
  double encode = 0, row = 0, decode = 0;  // a prompt; a row of one step; the pixels
};
WorkEstimate work_of_image(const Pipeline& pipeline, int width, int height);

}  // namespace inkstone
