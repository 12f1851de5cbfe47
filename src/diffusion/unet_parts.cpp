#include "diffusion/unet_parts.h"

#include <algorithm>

#include "base/error.h"
#include "compile/hoist.h"

namespace inkstone {
namespace {

struct Named {
  const char* name;
  DependsOn depends;
};
constexpr Named kParts[] = {
    {"prompt", DependsOn::kPrompt}, {"time", DependsOn::kTimestep}, {"added", DependsOn::kRequest}};

// What depends on two of the groups stays in the step. Resnets add their time embeddings in fp32, and so they are carried.
// With added conditioning the terms of a sum are carried instead, in the type in which the programs compute.
std::vector<compile::HoistGroup> groups(const UnetConfig& config, DType type) {
  std::vector<compile::HoistGroup> result;
  for (const Named& part : kParts) {
    compile::HoistGroup& group = result.emplace_back();
    group.type = part.depends == DependsOn::kPrompt || config.added ? type : DType::kF32;
    for (const ConditioningInput& input : kConditioning)
      if (input.depends == part.depends) group.inputs.emplace_back(input.name);
  }
  return result;
}

compile::Hoisted hoisted(const UnetConfig& config, const LatentSize& size, DType type) {
  return compile::hoist(compile::sink_repeat(unet_graph(config, size)), groups(config, type));
}

}  // namespace

const ConditioningPart& UnetParts::part(DependsOn depends) const {
  return *std::ranges::find(before, depends, &ConditioningPart::depends);
}

UnetParts unet_parts(const UnetConfig& config, const LatentSize& size, DType type) {
  LatentSize typed = size;
  typed.cached_feature = type;
  compile::Hoisted one = hoisted(config, {1, size.height, size.width, size.tokens}, type);
  compile::Hoisted all = hoisted(config, typed, type);
  UnetParts parts;
  parts.step = std::move(all.rest);
  size_t carried = 0;
  for (size_t i = 0; i < std::size(kParts); ++i) {
    for (const std::string& name : all.parts[i].names)
      INKSTONE_CHECK(std::ranges::count(one.parts[i].names, name), "a step of the U-Net reads ", name,
                     ", which nothing computes before it");
    carried += all.parts[i].names.size();
    parts.before.push_back(
        {kParts[i].name, kParts[i].depends, std::move(one.parts[i].graph), std::move(one.parts[i].names)});
  }
  const size_t own = size.part == UnetPart::kShallow ? 2 : 1, inputs = inputs_of(parts.step).size();
  INKSTONE_CHECK(inputs == own + carried, "a step of the U-Net reads ", inputs, " inputs, not its ", own, " own and ",
                 carried, " carried ones");
  return parts;
}

}  // namespace inkstone
