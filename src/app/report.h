// What a model is and what it will take, for people and as JSON: shared by the commands.
#pragma once

#include <string>

#include "app/loading.h"
#include "backend/ascend/ascend.h"
#include "base/json_fwd.h"
#include "diffusion/generate.h"

namespace inkstone {

std::string grouped(int64_t number);   // "859,520,964"
std::string millions(int64_t number);  // "859.52M"
int64_t all_parameters(const Pipeline& model);

// Lines for people, each ended.
std::string components_table(const Pipeline& model);
std::string adapters_table(const Pipeline& model);    // "" where there is none
std::string upscaler_text(const Upscaler& upscaler);  // "x4.safetensors: x4, 23 blocks of ..."
std::string upscalers_table(const Pipeline& model);
std::string embeddings_table(const Pipeline& model);               // the same
std::vector<std::string> adapter_warnings(const Pipeline& model);  // each names its file
std::string device_text(const DeviceInfo& device);                 // "cpu (AMD EPYC, 2 threads, AVX-512 BF16)"
std::string plan_table(const EnginePlan& plan);  // a row for each component, the peak, what was given up
// Of both models, where there is a refiner.
std::string plan_line(const EnginePlan& base, const Refinement& refinement);
std::string refiner_text(const Loaded& loaded, const Refinement& refinement);  // "NAME from 0.8, for 4 of 20 calls"
JsonObject refiner_json(const Loaded& loaded, const Refinement& refinement);
std::string plan_line(const EnginePlan& plan);  // the same in a line, without its end

std::string few_step_text(const ModelTraits& traits);  // "Lightning by its name, for 4 steps"; "" of other models
std::string approximations_text(const ResolvedRequest& request);  // "" where there is none

JsonObject model_json(const Loaded& loaded);
JsonObject device_json(const DeviceInfo& device);
JsonObject card_json(const AscendStatus& card);
std::string card_text(const AscendStatus& card);  // what went to and fro, and its memory, in a line without its end
JsonObject plan_json(const EnginePlan& plan);
JsonObject times_json(const StageTimes& times);

void print_json_error(const std::string& what, int exit_code);
void print_json(const JsonObject& object);  // one line on standard output; then it has its one object

}  // namespace inkstone
