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

compile::Hoisted hoisted(const Graph& graph, const UnetConfig& config, DType type) {
  return compile::hoist(compile::sink_repeat(graph), groups(config, type));
}

// Of a graph for one row and one copy.
std::vector<ConditioningPart> parts_of(const Graph& graph, const UnetConfig& config, DType type) {
  compile::Hoisted one = hoisted(graph, config, type);
  std::vector<ConditioningPart> parts;
  for (size_t i = 0; i < std::size(kParts); ++i)
    parts.push_back({kParts[i].name, kParts[i].depends, std::move(one.parts[i].graph), std::move(one.parts[i].names)});
  return parts;
}

LatentSize with_type(LatentSize size, DType type) {
  size.passed = type;
  return size;
}

}  // namespace

const ConditioningPart& UnetParts::part(DependsOn depends) const {
  return *std::ranges::find(before, depends, &ConditioningPart::depends);
}

std::vector<ConditioningPart> conditioning_parts(const UnetConfig& config, const LatentSize& size, DType type) {
  return parts_of(unet_graph(config, {1, size.height, size.width, size.tokens}), config, type);
}

Graph unet_step(const UnetConfig& config, const LatentSize& size, DType type) {
  return hoisted(unet_graph(config, with_type(size, type)), config, type).rest;
}

UnetParts unet_parts(const UnetConfig& config, const LatentSize& size, DType type) {
  return {conditioning_parts(config, size, type), unet_step(config, size, type)};
}

std::vector<ConditioningPart> conditioning_parts(const ControlnetConfig& config, const LatentSize& size, DType type) {
  return parts_of(controlnet_graph(config, {1, size.height, size.width, size.tokens}, false), config.net, type);
}

Graph controlnet_step(const ControlnetConfig& config, const LatentSize& size, bool adds, DType type) {
  return hoisted(controlnet_graph(config, with_type(size, type), adds), config.net, type).rest;
}

}  // namespace inkstone
