// The ControlNets and T2I-Adapters of tests/fixtures/control.json, with the weights that tools/fixtures/control.py makes of
// their names.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "diffusion/checkpoint_files.h"
#include "diffusion/control_file.h"

namespace inkstone {

const Json& control_list();                       // control.json
const Json& listed_net(const std::string& name);  // its row of "nets"
ControlConfig config_of_net(const std::string& name);
// Of all weights, under diffusers' names.
FileTensors weights_of_net(const std::string& name);
// In diffusers' layout, below `folder`; returns its path.
std::filesystem::path write_net(const std::filesystem::path& folder, const std::string& name);

}  // namespace inkstone
