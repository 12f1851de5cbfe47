// How much work an image is, in floating point operations of the model as it is written: known
// before anything has run.
#pragma once

#include "backend/backend.h"
#include "diffusion/pipeline.h"
#include "diffusion/resolved_request.h"

namespace inkstone {

struct WorkEstimate {
  double encode = 0, row = 0, decode = 0;  // a prompt; a row of one step; the pixels
  double encode_picture = 0;               // that an image begins with
};
double work_of_prompt(const Pipeline& pipeline);  // encode alone
WorkEstimate work_of_image(const Pipeline& pipeline, int width, int height);

// Operations a second: a usual part of the peak, which is probed for a moment. 0: the device tells
// none.
double usual_speed(Backend& backend, Precision precision);
double seconds_of_image(const WorkEstimate& work, const ResolvedRequest& request, double speed);

}  // namespace inkstone
