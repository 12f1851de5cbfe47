// A client's order: one or more images, from its admission to its one answer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/tags.h"
#include "base/image_file.h"
#include "diffusion/resolved_request.h"
#include "serve/scheduling/batch_job.h"

namespace inkstone::serve {

// Checked once, then passed along as it is.
using RequestPtr = std::shared_ptr<const ResolvedRequest>;

struct OrderRefiner {              // SDXL's second model, which finishes each of the images (diffusion/legs.h)
  std::string model;               // its name
  float start = 0;                 // where it goes on
  std::vector<RequestPtr> images;  // the order's, as the refiner has them, by its traits and from its first call on
};

struct Order {
  // Whose: "key:NAME" or "ip:ADDRESS"; nobody else sees or cancels it.
  std::string client;
  // "generate", "openai", "a1111", "oip": for logs and figures.
  std::string api;
  std::string request_id;   // of the HTTP request
  std::string trace;        // ... and its trace, or empty
  std::string idempotency;  // the client's key; empty: none
  // A digest of the request as it came: with the same key another one is a conflict.
  std::string asked;
  // A name by which its client may ask for it (A1111's force_task_id); empty: none.
  std::string tag;
  std::vector<RequestPtr> images;  // at least one
  // What all of them are drawn with: a model by its name, which is the default's where it is empty,
  // and adapters of the operator's folder, by theirs.
  std::string model;
  std::vector<AdapterTag> adapters;
  std::optional<OrderRefiner> refiner{};
  // Of pictures that are enlarged: the parameters that each has in its file, and keeps; "": none.
  std::vector<std::string> kept_parameters{};
  ImageFormat format = ImageFormat::kPng;
  // Of JPEG and WebP, 1 to 100; WebP is lossless at 100.
  int quality = kImageQuality;
  Priority priority = Priority::kNormal;
  // Seconds from now, for all of its images.
  std::optional<double> deadline;
  // Goes on when nobody watches it (an answer by job URL).
  bool stays = false;
  bool previews = false;
};

// kQueued: until a worker begins it.
enum class Stage { kQueued, kEncode, kDenoise, kDecode, kDone, kFailed, kCancelled };
constexpr bool ended(Stage stage) { return stage >= Stage::kDone; }
std::string_view stage_name(Stage stage);  // "queued", "encode", ...

inline constexpr const char* kFailureCodes[] = {"nan_output",    "out_of_memory", "worker_died",   "deadline",
                                                "shutting_down", "bad_request",   "model_changed", "internal"};

struct Failure {
  std::string code;     // one of those
  std::string message;  // for the client
  bool again = false;   // trying again may help
};

struct ImageTimes {  // seconds
  // Unet: of the steps that it was in.
  double queued = 0, text_encoder = 0, unet = 0, vae = 0, encoding = 0, total = 0;
};

struct ImageState {
  Stage stage = Stage::kQueued;
  int call = 0, calls = 0;  // of the U-Net: done, in all
  // It grows by one whenever its worker died and it runs again from its start.
  int attempt = 1;
  double seconds_left = 0;  // as predicted
  bool cut_short = false;   // finish() ended its steps early
  ImageTimes times;
  std::vector<std::string> warnings;
  std::shared_ptr<const Image> preview;  // smaller by a whole factor, or as large; the newest
  int preview_call = 0;
  // kDone: in the order's format, with the generation parameters in a text chunk.
  std::shared_ptr<const std::string> file;
  // kDone: that text, as AUTOMATIC1111 writes it.
  std::string parameters;
  Failure failure;  // kFailed
};

struct OrderState {
  std::string id;  // 32 hex digits, unguessable
  Order order;
  double arrival = 0;   // on the service's clock
  int64_t created = 0;  // seconds since 1970
  std::vector<ImageState> images;
  // Orders that will have ended before it, as predicted.
  int position = 0;

  bool ended() const {
    for (const ImageState& image : images)
      if (!serve::ended(image.stage)) return false;
    return true;
  }
};

}  // namespace inkstone::serve
