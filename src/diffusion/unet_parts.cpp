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

// Values that depend on two groups stay in the step. Resnets add their time embeddings in fp32, so
// they are passed in fp32. With added conditioning the terms of a sum are passed instead, in the
// type in which the programs compute.
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

std::vector<ConditioningPart> conditioning_parts(const UnetConfig& config, const LatentSize& size, DType type) {
  compile::Hoisted one = hoisted(config, {1, size.height, size.width, size.tokens}, type);
  std::vector<ConditioningPart> parts;
  for (size_t i = 0; i < std::size(kParts); ++i)
    parts.push_back({kParts[i].name, kParts[i].depends, std::move(one.parts[i].graph), std::move(one.parts[i].names)});
  return parts;
}

Graph unet_step(const UnetConfig& config, const LatentSize& size, DType type) {
  LatentSize typed = size;
  typed.passed = type;
  return hoisted(config, typed, type).rest;
}

UnetParts unet_parts(const UnetConfig& config, const LatentSize& size, DType type) {
  return {conditioning_parts(config, size, type), unet_step(config, size, type)};
}

}  // namespace inkstone
