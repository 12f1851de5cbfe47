#include "app/report.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "app/byte_size.h"
#include "app/machine.h"
#include "app/signals.h"
#include "backend/devices.h"
#include "base/dtype.h"
#include "base/json.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

JsonObject use_json(const MemoryUse& use) {
  return {{"weights_bytes", use.weights},
          {"mapped_weights_bytes", use.mapped},
          {"arena_bytes", use.arena},
          {"scratch_bytes", use.scratch},
          {"total_bytes", use.total()}};
}

std::string use_row(const std::string& name, const MemoryUse& use) {
  return fmt::format("  {:<14}{:>12}{:>12}{:>12}{:>12}{:>12}\n", name, byte_text(use.mapped), byte_text(use.weights),
                     byte_text(use.arena), byte_text(use.scratch), byte_text(use.total()));
}

// As it was written: 0.7, not 0.699999988.
double decimal(float value) { return std::strtod(fmt::format("{}", value).c_str(), nullptr); }

const char* residence(const EnginePlan& plan) {
  return plan.components_in_turn ? "one component in memory at a time" : "all components in memory together";
}

}  // namespace

std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  const size_t first = number < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string millions(int64_t number) { return fmt::format("{:.2f}M", static_cast<double>(number) / 1e6); }

int64_t all_parameters(const Pipeline& model) {
  int64_t sum = 0;
  for (const Component& component : model.components) sum += component.parameters;
  return sum;
}

std::string components_table(const Pipeline& model) {
  std::string text =
      fmt::format("  {:<16}{:<28}{:>15}  {:<6}{:>12}\n", "component", "kind", "parameters", "stored", "file");
  for (const Component& component : model.components)
    text += fmt::format("  {:<16}{:<28}{:>15}  {:<6}{:>12}\n", component.name, component.kind,
                        grouped(component.parameters), name_of(component.stored), byte_text(component.file_bytes));
  return text + fmt::format("  {:<16}{:<28}{:>15}\n", "in all", "", millions(all_parameters(model)));
}

std::string adapters_table(const Pipeline& model) {
  constexpr size_t kHashDigits = 12;
  if (model.adapters.empty()) return "";
  std::string text =
      fmt::format("  {:<32}{:>8}{:>8}  {:<14}{}\n", "adapter", "text", "U-Net", "hash", "changes of weights");
  for (const MergedAdapter& adapter : model.adapters)
    text += fmt::format("  {:<32}{:>8}{:>8}  {:<14}{}\n", one_line(adapter.name), adapter.use.text, adapter.use.unet,
                        adapter.hash.substr(0, kHashDigits), adapter.kinds);
  return text;
}

std::string embeddings_table(const Pipeline& model) {
  constexpr size_t kHashDigits = 12;
  if (model.embeddings.empty()) return "";
  std::string text = fmt::format("  {:<32}{:>8}{:>8}  {:<14}\n", "embedding", "vectors", "width", "hash");
  for (const Embedding& one : model.embeddings)
    if (one.skipped.empty())
      text += fmt::format("  {:<32}{:>8}{:>8}  {:<14}\n", one_line(one.name), one.vectors, one.width,
                          one.hash.substr(0, kHashDigits));
    else
      text += fmt::format("  {:<32}skipped: {}\n", one_line(one.name), one_line(one.skipped));
  return text;
}

std::string upscaler_text(const Upscaler& upscaler) {
  const EsrganConfig& config = upscaler.config();
  return fmt::format("{}: x{}, {} block{} of {} and {} channels", upscaler.file().string(), upscaler.factor(),
                     config.blocks, config.blocks == 1 ? "" : "s", config.channels, config.growth);
}

std::string upscalers_table(const Pipeline& model) {
  std::string text;
  for (const Upscaler& one : model.upscalers) text += "upscaler   " + one_line(upscaler_text(one)) + "\n";
  return text;
}

std::vector<std::string> adapter_warnings(const Pipeline& model) {
  std::vector<std::string> warnings;
  for (const MergedAdapter& adapter : model.adapters)
    for (const std::string& warning : adapter.warnings) warnings.push_back(adapter.use.path + ": " + warning);
  return warnings;
}

std::string device_text(const DeviceInfo& device) {
  return device.description.empty() ? device.name : fmt::format("{} ({})", device.name, device.description);
}

std::string plan_table(const EnginePlan& plan) {
  std::string text = fmt::format("  {:<14}{:>12}{:>12}{:>12}{:>12}{:>12}\n", "stage", "weights", "packed", "arena",
                                 "scratch", "in all");
  text += fmt::format("  {:<14}{:>60}\n", "program", byte_text(plan.program_bytes));
  for (const PlannedStage& stage : plan.stages) text += use_row(stage.name, stage.use);
  text += fmt::format("  {:<14}{:>60}\n", "carried", byte_text(plan.carried_bytes));
  if (plan.owned_bytes) text += fmt::format("  {:<14}{:>60}\n", "owned weights", byte_text(plan.owned_bytes));
  text += fmt::format("  {:<14}{:>60}\n", "peak", byte_text(plan.peak_bytes));
  text +=
      "  weights are mapped from the model's files, shared by processes, and may be taken back by the system;\n"
      "  arena and scratch are the same memory for all components\n";
  text += fmt::format("  {}; VAE tiling {}, attention slicing {}{}\n", residence(plan), plan.vae_tiling ? "on" : "off",
                      plan.attention_slicing ? "on" : "off", plan.upscaler_bands ? ", upscaler in bands" : "");
  for (const std::string& reason : plan.reasons) text += "  given up: " + reason + "\n";
  return text;
}

std::string plan_line(const EnginePlan& plan) {
  return fmt::format("{} planned, {}{}{}{}{}", byte_text(plan.peak_bytes), residence(plan),
                     plan.weight_streaming ? ", weights streamed" : "", plan.vae_tiling ? ", VAE tiled" : "",
                     plan.attention_slicing ? ", attention sliced" : "",
                     plan.upscaler_bands ? ", upscaler in bands" : "");
}

std::string plan_line(const EnginePlan& base, const Refinement& refinement) {
  return fmt::format("{} planned, {}: base {}; refiner {}", byte_text(refinement.peak_bytes),
                     refinement.in_turn ? "the refiner after the base has left memory" : "base and refiner together",
                     plan_line(base), plan_line(refinement.plan));
}

std::string refiner_text(const Loaded& loaded, const Refinement& refinement) {
  return fmt::format("{} from {}, for {} of {} calls", loaded.refiner->pipeline().name(), loaded.refiner_start,
                     refinement.request.evaluations(), refinement.request.calls());
}

JsonObject refiner_json(const Loaded& loaded, const Refinement& refinement) {
  return {{"name", loaded.refiner->pipeline().name()}, {"path", loaded.refiner->pipeline().path.string()},
          {"start", decimal(loaded.refiner_start)},    {"base_calls", refinement.base.evaluations()},
          {"calls", refinement.request.evaluations()}, {"in_turn", refinement.in_turn},
          {"peak_bytes", refinement.peak_bytes},       {"memory", plan_json(refinement.plan)}};
}

std::string few_step_text(const ModelTraits& traits) {
  if (!traits.only_steps) return traits.few_step;
  return fmt::format("{}, for {} {}", traits.few_step, traits.only_steps, traits.only_steps == 1 ? "step" : "steps");
}

std::string approximations_text(const ResolvedRequest& request) {
  std::string text;
  if (request.cache_interval > 1) text += fmt::format("of {} U-Net calls one is whole", request.cache_interval);
  if (const auto [from, to] = request.guidance_interval; request.guidance_interval != Interval{})
    text += fmt::format("{}guidance from {} to {} of the schedule", text.empty() ? "" : ", ", from, to);
  return text;
}

JsonObject model_json(const Loaded& loaded) {
  const Pipeline& model = loaded.model();
  JsonArray components;
  for (const Component& component : model.components)
    components.push_back(JsonObject{{"name", component.name},
                                    {"kind", component.kind},
                                    {"parameters", component.parameters},
                                    {"stored", name_of(component.stored)},
                                    {"file_bytes", component.file_bytes}});
  JsonArray adapters;
  for (const MergedAdapter& adapter : model.adapters)
    adapters.push_back(JsonObject{{"name", clean_utf8(adapter.name)},
                                  {"path", clean_utf8(adapter.use.path)},
                                  {"hash", adapter.hash},
                                  {"text_strength", decimal(adapter.use.text)},
                                  {"unet_strength", decimal(adapter.use.unet)},
                                  {"kinds", adapter.kinds}});
  JsonArray embeddings;
  for (const Embedding& one : model.embeddings)
    embeddings.push_back(JsonObject{{"name", clean_utf8(one.name)},
                                    {"path", clean_utf8(one.path)},
                                    {"hash", one.hash},
                                    {"vectors", one.vectors},
                                    {"width", one.width},
                                    {"skipped", one.skipped.empty() ? Json() : Json(clean_utf8(one.skipped))}});
  return {{"name", loaded.name},
          {"few_step", model.traits.few_step.empty() ? Json() : Json(few_step_text(model.traits))},
          {"notes", JsonArray(model.notes.begin(), model.notes.end())},
          {"adapters", std::move(adapters)},
          {"embeddings", std::move(embeddings)},
          {"folder", model.path.string()},
          {"parameters", all_parameters(model)},
          {"components", std::move(components)}};
}

JsonObject device_json(const DeviceInfo& device) {
  return {{"name", device.name},
          {"description", device.description},
          {"memory_total_bytes", device.memory_total},
          {"memory_free_bytes", device.memory_free},
          {"bf16", device.bf16}};
}

JsonObject card_json(const AscendStatus& card) {
  const AscendCounters& counters = card.counters;
  return {{"soc", card.soc},
          {"cann", card.cann},
          {"simulated", card.simulated},
          {"copies_to_device", counters.copies_to_device},
          {"copies_to_host", counters.copies_to_host},
          {"copies_on_device", counters.copies_on_device},
          {"device_allocations", counters.device_allocations},
          {"executions", counters.executions},
          {"model_loads", counters.loads},
          {"memory_free_bytes", card.memory_free},
          {"memory_total_bytes", card.memory_total},
          {"weights_bytes", card.weights},
          {"work_bytes", card.work},
          {"tensors_reserved_bytes", card.tensors_reserved},
          {"tensors_used_bytes", card.tensors_used},
          {"tensors_free_bytes", card.tensors_free},
          {"tensors_largest_free_bytes", card.tensors_largest_free},
          {"fragmentation", fragmentation(card.tensors_largest_free, card.tensors_free)}};
}

std::string card_text(const AscendStatus& card) {
  const AscendCounters& counters = card.counters;
  return fmt::format(
      "card       {} runs, copies: {} up, {} down, {} within; {} allocations, {} model loads; weights {}, work {}, "
      "tensors {} "
      "of {} ({:.0f} % fragmented), {} of {} free",
      counters.executions, counters.copies_to_device, counters.copies_to_host, counters.copies_on_device,
      counters.device_allocations, counters.loads, byte_text(card.weights), byte_text(card.work),
      byte_text(card.tensors_used), byte_text(card.tensors_reserved),
      100 * fragmentation(card.tensors_largest_free, card.tensors_free), byte_text(card.memory_free),
      byte_text(card.memory_total));
}

JsonObject plan_json(const EnginePlan& plan) {
  JsonObject json{{"precision", name_of(plan.precision)}};
  for (const PlannedStage& stage : plan.stages) json[stage.name] = use_json(stage.use);
  json["carried_bytes"] = plan.carried_bytes;
  json["program_bytes"] = plan.program_bytes;
  json["owned_bytes"] = plan.owned_bytes;
  json["peak_bytes"] = plan.peak_bytes;
  json["components_in_turn"] = plan.components_in_turn;
  json["weight_streaming"] = plan.weight_streaming;
  json["vae_tiling"] = plan.vae_tiling;
  json["attention_slicing"] = plan.attention_slicing;
  json["upscaler_bands"] = plan.upscaler_bands;
  json["given_up"] = JsonArray(plan.reasons.begin(), plan.reasons.end());
  return json;
}

JsonObject times_json(const StageTimes& times) {
  return {{"prepare_seconds", times.prepare},
          {"text_encoder_seconds", times.text_encoder},
          {"unet_seconds", times.unet},
          {"vae_seconds", times.vae},
          {"total_seconds", times.total}};
}

void print_json_error(const std::string& what, int exit_code) {
  print_json({{"error", clean_utf8(what)}, {"exit_code", exit_code}});
}

void print_json(const JsonObject& object) {
  result_is_printed();
  write_output(json_text(object) + "\n");
}

}  // namespace inkstone
