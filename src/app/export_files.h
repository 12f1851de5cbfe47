// A model as ONNX files in a folder, with the manifest that says what each is.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "atc/manifest.h"
#include "diffusion/component_graphs.h"
#include "onnx/export.h"
#include "upscale/upscaler.h"

namespace inkstone {

struct ExportChoice {
  GraphChoice graphs;
  std::string precision = "fp16";  // "fp16", "mixed", "fp32"
  int opset = 17;
  int attention_heads = 0;       // at a time; 0: all
  bool whole_timesteps = false;  // timestep is taken as int32
};

using Tell = std::function<void(const std::string& line)>;

// The folder is made, or found to be empty or an earlier export of this model. UsageError naming what else is in it.
void claim_export_folder(const std::filesystem::path& folder, const std::string& model);

// Claims the folder and writes all files, the manifest last: an export that was interrupted has one without graphs. What an earlier export has left
// there under other names is removed. Throws Error naming the file that cannot be written, or the weight that fp16 cannot hold.
Manifest export_model(const Pipeline& model, const ExportChoice& choice, const std::filesystem::path& folder,
                      const Tell& tell);
// The same of an upscaler: its parts, for images of each size.
Manifest export_upscaler(const Upscaler& upscaler, const ExportChoice& choice, const std::filesystem::path& folder,
                         const Tell& tell);

}  // namespace inkstone
