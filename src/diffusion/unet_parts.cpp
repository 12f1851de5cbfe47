#include "diffusion/unet_parts.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "compile/hoist.h"

namespace inkstone {
namespace {

compile::Hoisted hoisted(const UnetConfig& config, const LatentSize& size, DType keys) {
  // Text and added conditioning are the request's, a timestep is the same for all requests: what depends on both stays
  // in the step.
  const compile::HoistGroup groups[] = {
      {{"text"}, keys}, {{"timestep", "guidance"}, DType::kF32}, {{"added"}, DType::kF32}};
  return compile::hoist(compile::sink_repeat(unet_graph(config, size)), groups);
}

std::vector<size_t> places(const std::vector<std::string>& names, const std::vector<std::string>& all) {
  std::vector<size_t> result;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(all, name);
    INKSTONE_CHECK(found != all.end(), "a step of the U-Net reads ", name, ", which nothing computes before it");
    result.push_back(static_cast<size_t>(found - all.begin()));
  }
  return result;
}

}  // namespace

UnetParts unet_parts(const UnetConfig& config, const LatentSize& size, DType keys) {
  LatentSize typed = size;
  typed.deep = keys;
  compile::Hoisted one = hoisted(config, {1, size.height, size.width, size.tokens}, keys);
  compile::Hoisted all = hoisted(config, typed, keys);
  UnetParts parts{.prompt = std::move(one.parts[0].graph),
                  .time = std::move(one.parts[1].graph),
                  .added = std::move(one.parts[2].graph),
                  .step = std::move(all.rest),
                  .keys = places(all.parts[0].names, one.parts[0].names),
                  .times = places(all.parts[1].names, one.parts[1].names),
                  .added_values = places(all.parts[2].names, one.parts[2].names)};
  const size_t own = size.part == UnetPart::kShallow ? 2 : 1,
               carried = parts.keys.size() + parts.times.size() + parts.added_values.size();
  INKSTONE_CHECK(inputs_of(parts.step).size() == own + carried, "a step of the U-Net reads more than its ", own,
                 " inputs and ", carried, " carried values");
  return parts;
}

}  // namespace inkstone
