// One image in flight.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/image.h"
#include "base/tensor.h"
#include "diffusion/conditioning.h"
#include "diffusion/job_prompts.h"
#include "diffusion/noise.h"
#include "diffusion/resolved_request.h"
#include "diffusion/unet_schedule.h"

namespace inkstone {

// What a job has of one of its request's controls.
struct JobControl {
  Tensor hint;                   // of a ControlNet: what it read of the picture, [1, h*w, c]
  NamedTensors conditioning;     // of a ControlNet, for the rows that Job::conditioned names
  std::vector<Tensor> features;  // of a T2I-Adapter, on the host, without its scale
};

struct Job {  // ends before its engine
  ResolvedRequest request;
  SchedulerState state;
  NoiseGenerator noise{0};
  Tensor latent;                     // [1, 4, h, w]
  JobPrompts prompts;                // the texts of its prompts
  NamedTensors conditioning;         // what those of `conditioned` gave: [rows, ...] each, unconditional half first;
                                     // none while it is offloaded; of one pass at a time
  std::vector<size_t> conditioned;   // texts by their index, one for each row
  std::vector<JobControl> controls;  // one for each of the request's
  std::vector<Tensor> features;      // of those T2I-Adapters that run, scaled and summed
  std::vector<size_t> featured;      // they are, by their index in `controls`
  Tensor cached_feature;             // of the last full evaluation, a row for each of its copies, if it is read
  // Where a picture is repainted in part, and the U-Net does not read the mask: the mask [1, 1, h, w], 1 where it is drawn
  // anew, and the picture and its noise, like latent. After each step the rest is the picture's again.
  Tensor repaint_mask, picture, picture_noise;
  Tensor more_channels;  // [1, 5, h, w]: the mask and the masked picture, for the U-Net that reads them
  // The request whose picture the finished image goes back into; null: none.
  std::shared_ptr<const ResolvedRequest> put_back;
  std::optional<Image> enlarged;         // of a request that draws nothing: the image itself
  Tensor fresh_noise;                    // like latent, for the schedulers that ask
  Tensor output;                         // like latent: the model's, after guidance
  Tensor unconditional;                  // like latent: the model's, for the later passes of a composed prompt
  Tensor estimate;                       // like latent: the image as the last evaluation saw it
  std::vector<UnetEvaluation> schedule;  // what each evaluation of the U-Net runs
  int call = 0;                          // evaluations done
  std::vector<std::string> warnings;     // a prompt that was cut
  // An evaluation runs at most two rows at once: that of a composed prompt has several passes.
  std::span<const size_t> rows() const { return prompts.of_call.at(static_cast<size_t>(call)); }
  size_t passes() const { return std::max<size_t>(1, (rows().size() + 1) / 2); }
  std::span<const size_t> rows(size_t pass) const {
    return rows().subspan(2 * pass, std::min<size_t>(2, rows().size() - 2 * pass));
  }
  UnetEvaluation next(size_t pass) const {
    UnetEvaluation one = next();
    if (passes() > 1) one.cfg_copies = static_cast<int>(rows(pass).size());
    return one;
  }
  void forget_conditioning() {
    conditioning.clear();
    for (JobControl& control : controls) control.conditioning.clear();
  }
  int calls() const { return static_cast<int>(schedule.size()); }
  const UnetEvaluation& next() const { return schedule.at(static_cast<size_t>(call)); }
  bool done() const { return call >= (request.end_call < 0 ? calls() : request.end_call); }
  bool has_image() const { return call >= calls(); }  // the latent is without noise
};

struct RowFault {  // what ends one job of a step; it has not moved
  Job* job;
  Error::Kind kind;  // kNotFinite, or kOutOfMemory where others had moved before the memory ran out
  std::string message;
};

}  // namespace inkstone
