#include "serve/api/a1111_samplers.h"

#include "base/spelling.h"
#include "diffusion/parameters.h"

namespace inkstone::serve {

std::span<const A1111SamplerRow> a1111_sampler_rows() {
  static const std::vector<A1111SamplerRow> all{
      {SchedulerKind::kDpmpp2M, {"k_dpmpp_2m", "dpmpp_2m"}, true},
      {SchedulerKind::kDpmpp2MSde, {"k_dpmpp_2m_sde", "dpmpp_2m_sde"}, true},
      {SchedulerKind::kEulerAncestral, {"k_euler_a", "k_euler_ancestral", "euler_a", "euler_ancestral"}},
      {SchedulerKind::kEuler, {"k_euler"}},
      {SchedulerKind::kDdim, {"ddim"}},
      {SchedulerKind::kPndm, {"plms", "pndm"}},
      {SchedulerKind::kUniPc, {"unipc"}},
      {SchedulerKind::kLcm, {"k_lcm"}}};
  return all;
}

namespace {

const A1111SamplerRow* row_of(std::string_view lower_case) {
  for (const A1111SamplerRow& row : a1111_sampler_rows()) {
    if (lower(sampler_name(row.kind)) == lower_case || name_of(row.kind) == lower_case) return &row;
    for (const std::string& alias : row.aliases)
      if (alias == lower_case) return &row;
  }
  return nullptr;
}

}  // namespace

std::optional<A1111Sampler> a1111_sampler(std::string_view name) {
  struct Suffix {
    std::string_view text, type;
  };
  static constexpr Suffix kSuffixes[] = {
      {"", ""}, {" karras", "karras"}, {"_ka", "karras"}, {" exponential", "exponential"}};
  const std::string wanted = lower(name);
  for (const Suffix& suffix : kSuffixes) {
    if (!wanted.ends_with(suffix.text)) continue;
    if (const A1111SamplerRow* row = row_of(wanted.substr(0, wanted.size() - suffix.text.size())))
      return A1111Sampler{name_of(row->kind), sampler_name(row->kind), std::string(suffix.type)};
  }
  return std::nullopt;
}

std::optional<bool> karras_of(const A1111Sampler& sampler, std::string_view schedule_type) {
  std::string type = lower(schedule_type);
  if (type.empty() || type == "automatic") type = sampler.schedule_type;
  const SchedulerKind kind = scheduler_kind(sampler.scheduler);
  if (type.empty()) return row_of(sampler.scheduler)->karras_by_itself;
  if (type == "uniform") return false;
  if (type == "karras" && takes_karras(kind)) return true;
  return std::nullopt;
}

}  // namespace inkstone::serve
