// ControlNets and T2I-Adapters as files have them: which network a file is, its configuration, its weights.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "models/config.h"
#include "weights/checkpoint.h"

namespace inkstone {

using ControlConfig = std::variant<ControlnetConfig, T2iConfig>;

// What looks like a network for controlling a U-Net and is not run: "a Control-LoRA ..."; "" for another file.
std::string unread_control(const Checkpoint& file);
bool is_control(const Checkpoint& file);
// Throws Error naming `source` and the tensor that is missing or has an impossible shape. What no tensor tells, global
// pooling, is told by the file's name: "shuffle".
ControlConfig control_config_of(const Checkpoint& file, const std::string& source);

struct ControlFile {
  ControlConfig config;
  std::function<Weights(std::span<const WeightSpec> specs)> weights;
};
// A folder of diffusers (ControlNetModel, T2IAdapter) or a file. Throws Error that says what else it is.
ControlFile open_control(const std::filesystem::path& path);

}  // namespace inkstone
