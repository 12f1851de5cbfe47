// An adapter's file: its tensors grouped by the layer that they are for, and what it says of itself.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "adapters/parts.h"
#include "base/json_fwd.h"
#include "weights/checkpoint.h"

namespace inkstone {

// All tensors of one stem.
struct LayerParts {
  std::map<Part, WeightView> tensors;
  std::map<Part, double> numbers;  // single ones: alpha, on_input
  bool peft = false;

  const WeightView* find(Part part) const;
};

// Where PEFT's settings of a scale stand: alpha of a layer whose file has none beside its tensors.
class PeftSettings {
 public:
  PeftSettings() = default;
  // The metadata of diffusers' files ("unet.lora_alpha"), or PEFT's adapter_config.json.
  PeftSettings(const JsonObject& settings, std::string source);
  // alpha / rank, or alpha / sqrt(rank) where they ask for that; nothing if they say no alpha.
  std::optional<double> scale(const std::string& component, const std::string& path, int64_t rank) const;

 private:
  const Json* find(const std::string& component, const std::string& key) const;
  double alpha(const std::string& component, const std::string& path, double usual) const;

  std::shared_ptr<const JsonObject> settings_;
  std::string source_;
};

class AdapterFile {
 public:
  // Reads the header, no numbers. Throws Error naming the file and the tensor: one of a kind that is not
  // applied (GLoRA, OFT, BOFT), one that is empty or stored in a type that is not read.
  explicit AdapterFile(const std::filesystem::path& path);

  const std::string& source() const { return source_; }                        // the file, for errors
  const std::string& name() const { return name_; }                            // its stem
  const std::map<std::string, LayerParts>& layers() const { return layers_; }  // by stem
  const std::vector<std::string>& unknown() const { return unknown_; }         // tensors whose names say no part
  const PeftSettings& peft() const { return peft_; }
  size_t tensors() const { return checkpoint_.tensors().size(); }
  // SHA-256 of what follows the header, as AUTOMATIC1111's web UI has it in its "Lora hashes". Reads all.
  std::string hash() const;

 private:
  void add(const std::string& key);
  std::string tensor(const std::string& key) const { return source_ + ": the tensor " + key; }

  std::string source_, name_;
  Checkpoint checkpoint_;
  std::map<std::string, LayerParts> layers_;
  std::vector<std::string> unknown_;
  PeftSettings peft_;
};

// "a, b, c and 17 more"
std::string first_few(std::vector<std::string> names);

}  // namespace inkstone
