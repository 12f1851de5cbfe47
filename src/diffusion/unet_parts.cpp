#include "diffusion/unet_parts.h"

#include "base/error.h"
#include "compile/hoist.h"

namespace inkstone {
namespace {

Hoisted hoisted(const UnetConfig& config, const LatentSize& size, DType keys) {
  const HoistGroup groups[] = {{{"text"}, keys}, {{"timestep", "added", "guidance"}, DType::kF32}};
  return hoist(sink_repeat(unet_graph(config, size)), groups);
}

}  // namespace

UnetParts unet_parts(const UnetConfig& config, const LatentSize& size, DType keys) {
  Hoisted one = hoisted(config, {1, size.height, size.width, size.tokens}, keys);
  Hoisted all = hoisted(config, size, keys);
  INKSTONE_CHECK(one.parts[0].names == all.parts[0].names && one.parts[1].names == all.parts[1].names, "the U-Net of ",
                 size.rows, " rows is not split as that of one row is");
  const size_t carried = all.parts[0].names.size() + all.parts[1].names.size();
  INKSTONE_CHECK(inputs_of(all.rest).size() == 1 + carried, "a step of the U-Net reads more than the latent and ",
                 carried, " carried values");
  return {std::move(one.parts[0].graph), std::move(one.parts[1].graph), std::move(all.rest)};
}

}  // namespace inkstone
