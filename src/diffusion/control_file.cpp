#include "diffusion/control_file.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "diffusion/open_pipeline.h"
#include "models/ldm_names.h"
#include "models/shape_config.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

// A layout in use, and a name that tells it.
enum class Form { kControlnet, kControlnetLdm, kT2i, kT2iOwn };
struct Layout {
  const char *prefix, *tells;
  Form form;
};
constexpr Layout kLayouts[] = {
    {"control_model.", "input_hint_block.0.weight", Form::kControlnetLdm},
    {"", "input_hint_block.0.weight", Form::kControlnetLdm},
    {"", "controlnet_cond_embedding.conv_in.weight", Form::kControlnet},
    {"", "adapter.body.0.resnets.0.block1.weight", Form::kT2i},
    {"", "body.0.block1.weight", Form::kT2iOwn},
    {"", "body.0.body.0.block1.weight", Form::kT2iOwn},
};

// Beginnings of names that tell what is not run.
struct UnreadControl {
  std::string_view prefix, what;
};
constexpr UnreadControl kUnreadControls[] = {
    {"lora_controlnet", "a Control-LoRA, which is not supported: take the whole ControlNet it was made of"},
    {"lllite_", "a ControlNet-LLLite, which is not supported: take a ControlNet or T2I-Adapter"},
    {"task_embedding", "a ControlNet Union, which is not supported: take a ControlNet for one kind of hint"},
    {"control_add_embedding.", "a ControlNet Union, which is not supported: take a ControlNet for one kind of hint"},
    {"controlnet_x_embedder.", "a ControlNet for Flux, which is no U-Net"},
    {"pos_embed_input.", "a ControlNet for SD 3, which is no U-Net"}};

const Layout* layout_of(const Checkpoint& file) {
  const auto* found = std::ranges::find_if(
      kLayouts, [&](const Layout& one) { return file.shape_of(std::string(one.prefix) + one.tells) != nullptr; });
  return found == std::end(kLayouts) ? nullptr : found;
}

bool is_t2i(const Layout& layout) { return layout.form == Form::kT2i || layout.form == Form::kT2iOwn; }

// T2I-Adapter's own code has the resnets of all four features in one list.
int resnets_of_feature(const Checkpoint& file, const Layout& layout) {
  constexpr int kFeatures = 4;
  int count = 0;
  while (file.shape_of(layout.prefix + ("body." + std::to_string(count)) + ".block1.weight")) ++count;
  return std::max(1, count / kFeatures);
}

using NameOf = std::function<std::string(const std::string& name, const ControlnetConfig& config)>;
NameOf names_of(const Checkpoint& file, const Layout& layout) {
  const std::string prefix = layout.prefix;
  switch (layout.form) {
    case Form::kControlnetLdm:
      return [=](const std::string& name, const ControlnetConfig& c) { return prefix + ldm_controlnet_name(name, c); };
    case Form::kT2iOwn: {
      const bool light = !file.has_prefix("conv_in.");
      return [=, blocks = resnets_of_feature(file, layout)](const std::string& name, const ControlnetConfig&) {
        return prefix + t2i_name(name, blocks, light);
      };
    }
    default: return [=](const std::string& name, const ControlnetConfig&) { return prefix + name; };
  }
}

// Of its own code's names, "body.2.resnets.0" of a list of eight means the fifth; behind its end there is none.
std::string with_end(const std::string& name, int blocks) {
  constexpr std::string_view kResnets = ".resnets.";
  const size_t at = name.find(kResnets);
  const bool beyond = at != std::string::npos && std::atoi(name.c_str() + at + kResnets.size()) >= blocks;
  return beyond ? "" : name;
}

ControlConfig config_of(const Checkpoint& file, const Layout& layout, const std::string& source) {
  const ShapeOf shape_of = [&](const std::string& name) { return file.shape_of(name); };
  const NameOf name_of = names_of(file, layout);
  if (is_t2i(layout)) {
    const bool listed = layout.form == Form::kT2iOwn && file.has_prefix("conv_in.");
    const int blocks = listed ? resnets_of_feature(file, layout) : INT32_MAX;
    return t2i_config_of(
        shape_of,
        [&](const std::string& name) {
          const std::string known = with_end(name, blocks);
          return known.empty() ? known : name_of(known, {});
        },
        source);
  }
  ControlnetConfig config = controlnet_config_of(
      shape_of, [&](const std::string& name, const UnetConfig& so_far) { return name_of(name, {so_far}); }, source);
  config.pooled = lower(fs::path(source).filename().string()).find("shuffle") != std::string::npos;
  return config;
}

void check_whole(const Checkpoint& file, const std::string& source) {
  const std::string unread = unread_control(file);
  INKSTONE_CHECK(unread.empty(), source, " is ", unread);
}

ControlFile open_file(const fs::path& path) {
  const auto file = std::make_shared<const Checkpoint>(path);
  const std::string source = path.string();
  check_whole(*file, source);
  const Layout* layout = layout_of(*file);
  INKSTONE_CHECK(layout, source, " is no ControlNet and no T2I-Adapter (inkstone info says what it is)");
  ControlFile made{config_of(*file, *layout, source), {}};
  const auto* net = std::get_if<ControlnetConfig>(&made.config);
  made.weights = [=, name_of = names_of(*file, *layout),
                  config = net ? *net : ControlnetConfig{}](std::span<const WeightSpec> specs) {
    return file->take(specs, [&](const std::string& spec) { return std::vector<StoredName>{{name_of(spec, config)}}; });
  };
  return made;
}

ControlFile open_control_folder(const fs::path& folder) {
  const std::string source = (folder / "config.json").string();
  const Json config = read_json(source, kMaxConfigBytes);
  const Json* kind = config.is_object() ? config.get_object().if_contains("_class_name") : nullptr;
  const std::string name = kind && kind->is_string() ? std::string(kind->get_string()) : "";
  INKSTONE_CHECK(name == "ControlNetModel" || name == "T2IAdapter", source, ": a ",
                 name.empty() ? "network without _class_name" : shown(name),
                 "; --control takes a ControlNetModel or a T2IAdapter");
  ControlFile made;
  if (name == "T2IAdapter")
    made.config = t2i_config(config, source);
  else
    made.config = controlnet_config(config, source);
  made.weights = [folder](std::span<const WeightSpec> specs) {
    Weights weights = Weights::open(folder);
    weights.bind(specs);
    return weights;
  };
  return made;
}

}  // namespace

std::string unread_control(const Checkpoint& file) {
  for (const auto& [prefix, what] : kUnreadControls)
    if (file.has(std::string(prefix)) || file.has_prefix(std::string(prefix))) return std::string(what);
  if (file.has("difference") && layout_of(file))
    return "a ControlNet's difference from a U-Net, which is not supported: take the whole ControlNet";
  return "";
}

bool is_control(const Checkpoint& file) { return layout_of(file) != nullptr; }

ControlConfig control_config_of(const Checkpoint& file, const std::string& source) {
  return config_of(file, *layout_of(file), source);
}

ControlFile open_control(const fs::path& path) {
  INKSTONE_CHECK(fs::exists(path), path.string(), ": no such file or folder");
  return fs::is_directory(path) ? open_control_folder(path) : open_file(path);
}

}  // namespace inkstone
