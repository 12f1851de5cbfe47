// What the operator of a server can set. Times are seconds, sizes bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "diffusion/legs.h"
#include "serve/http/settings.h"
#include "serve/scheduling/batcher.h"

namespace inkstone::serve {

struct Folders {
  std::filesystem::path models, adapters;  // empty: there is none
  // A model beside those of the folder, which finishes the default's images; empty: none.
  std::filesystem::path refiner{};
};

struct ServeSettings {
  http::Settings http;
  std::vector<std::string> devices{"cpu"};
  int workers = 1;      // for each device
  int max_batch = 8;    // jobs in one step
  int max_queue = 256;  // images admitted and not ended
  // Images of one client, admitted and not ended.
  int max_per_client = 64;
  int max_images = 16;  // of one order
  Folders folders;
  float refiner_start = kRefinerStart;
  // Names that clients may call the default model by.
  std::vector<std::string> model_aliases;
  int max_steps = 200;
  int max_side = 2048;
  int64_t max_pixels = 1024 * 1024;  // of one image
  int max_prompt_chunks = 3;         // of 75 tokens each
  double max_wait = 600;             // for the work of others, as predicted; else refused
  // For what runs, when told to stop.
  double grace = 60;
  double kept_seconds = 600;  // an ended order
  int64_t max_kept_bytes = int64_t{256} << 20;
  // Of the predicted time: a worker that takes longer is killed.
  double watchdog_factor = 8;
  double watchdog_min = 20;
  // Without an image's end, until a tiny one of our own is drawn.
  double canary_seconds = 10;
  Batching batching = Batching::kStep;
  // Where learnt times are kept; empty: nowhere.
  std::filesystem::path curve_folder;
  bool log_json = false, log_prompts = false;
};

}  // namespace inkstone::serve
