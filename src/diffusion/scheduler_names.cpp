#include "diffusion/scheduler_names.h"

#include <algorithm>
#include <iterator>

#include "base/spelling.h"

namespace inkstone {
namespace {

using Ours = SchedulerKind;
constexpr size_t kMaxName = 64;  // bytes; nobody's are longer
constexpr Stands kNearest = Stands::kNearest, kNot = Stands::kNot;

// clang-format off
constexpr SamplerName kSamplers[] = {
    {"DPM++ 2M", "k_dpmpp_2m dpmpp_2m", Ours::kDpmpp2M, Stands::kItself, "karras"},
    {"DPM++ 2M SDE", "k_dpmpp_2m_sde dpmpp_2m_sde", Ours::kDpmpp2MSde, Stands::kItself, "exponential"},
    {"Euler a", "k_euler_a k_euler_ancestral euler_a euler_ancestral", Ours::kEulerAncestral},
    {"Euler", "k_euler", Ours::kEuler},
    {"DDIM", "ddim", Ours::kDdim},
    {"PLMS", "plms pndm", Ours::kPndm},
    {"UniPC", "unipc uni_pc uni_pc_bh2", Ours::kUniPc},
    {"LCM", "k_lcm", Ours::kLcm},
    // Deterministic ones, which all draw near the same image.
    {"Heun", "heunpp2 exp_heun_2_x0 HeunDiscreteScheduler", Ours::kDpmpp2M, kNearest},
    {"LMS", "LMSDiscreteScheduler", Ours::kDpmpp2M, kNearest},
    {"DPM2", "dpm_2 KDPM2DiscreteScheduler", Ours::kDpmpp2M, kNearest, "karras"},
    {"DPM fast", "", Ours::kDpmpp2M, kNearest},
    {"DPM adaptive", "", Ours::kDpmpp2M, kNearest},
    {"DPM++ 2M v2", "dpm++2mv2", Ours::kDpmpp2M, kNearest},
    {"DPM++ 2S", "DPMSolverSinglestepScheduler", Ours::kDpmpp2M, kNearest},
    {"DPM++ 3M", "", Ours::kDpmpp2M, kNearest},
    {"DEIS", "DEISMultistepScheduler", Ours::kDpmpp2M, kNearest},
    {"Res Multistep", "", Ours::kDpmpp2M, kNearest},
    {"iPNDM", "ipndm_v IPNDMScheduler", Ours::kPndm, kNearest},
    {"DDIM trailing", "", Ours::kDdim, kNearest},
    // These draw noise of their own, or read the guidance in another way.
    {"DPM++ SDE", "DPMSolverSDEScheduler", Ours::kDpmpp2MSde, kNot},
    {"DPM++ 2M SDE Heun", "", Ours::kDpmpp2MSde, kNot},
    {"DPM++ 3M SDE", "", Ours::kDpmpp2MSde, kNot},
    {"DPM++ 2S a", "dpmpp_2s_ancestral", Ours::kEulerAncestral, kNot},
    {"DPM2 a", "dpm_2_a dpm2_ancestral dpm_2_ancestral KDPM2AncestralDiscreteScheduler", Ours::kEulerAncestral, kNot},
    {"Restart", "", Ours::kDpmpp2MSde, kNot},
    {"DDPM", "DDPMScheduler", Ours::kEulerAncestral, kNot},
    {"Res Multistep a", "res_multistep_ancestral", Ours::kEulerAncestral, kNot},
    {"ER SDE", "", Ours::kDpmpp2MSde, kNot},
    {"SA Solver", "SASolverScheduler", Ours::kDpmpp2MSde, kNot},
    {"TCD", "TCDScheduler", Ours::kLcm, kNot},
    {"DDIM CFG++", "ddim_cfg_pp", Ours::kDdim, kNot},
    {"Euler CFG++", "euler_cfg_pp", Ours::kEuler, kNot},
    {"Euler a CFG++", "euler_ancestral_cfg_pp", Ours::kEulerAncestral, kNot},
};

constexpr ScheduleName kSchedules[] = {
    {"automatic", "Automatic", "default", {}},
    {"uniform", "Uniform", "normal discrete", false},
    {"karras", "Karras", "ka", true},
    {"exponential", "Exponential", "", true, kNearest},
    {"polyexponential", "Polyexponential", "", true, kNearest},
    {"sgm_uniform", "SGM Uniform", "", false, kNearest},
    {"kl_optimal", "KL Optimal", "", true, kNearest},
    {"align_your_steps", "Align Your Steps", "ays gits", true, kNearest},
    {"simple", "Simple", "", false, kNearest},
    {"ddim", "DDIM", "ddim_uniform", false, kNearest},
    {"beta", "Beta", "", false, kNearest},
    {"linear_quadratic", "Linear Quadratic", "", false, kNearest},
    {"turbo", "Turbo", "", false, kNearest},
    {"smoothstep", "Smoothstep", "", false, kNearest},
};
// clang-format on

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// Programs differ in _, - and blanks, in capitals, in k_ before a name, in dpmpp for dpm++.
std::string canonical(std::string_view name) {
  std::string text;
  for (const char c : lower(name)) {
    const bool blank = c == ' ' || c == '_' || c == '-';
    if (!blank) text += c;
    if (blank && !text.empty() && text.back() != ' ') text += ' ';
  }
  if (text.ends_with(' ')) text.pop_back();
  if (text.starts_with("k ")) text.erase(0, 2);
  replace_all(text, "dpmpp", "dpm++");
  replace_all(text, "dpm++ ", "dpm++");
  replace_all(text, "dpm++", "dpm++ ");
  if (text.ends_with(" gpu")) text.resize(text.size() - 4);
  return text;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

bool is_called(const SamplerName& sampler, const std::string& name) {
  if (canonical(sampler.name) == name) return true;
  if (sampler.stands == Stands::kItself &&
      (canonical(name_of(sampler.kind)) == name || canonical(diffusers_class(sampler.kind)) == name))
    return true;
  return std::ranges::any_of(words_of(sampler.aliases),
                             [&](const std::string& word) { return canonical(word) == name; });
}

std::vector<std::string> called(const ScheduleName& schedule) {
  std::vector<std::string> names = words_of(schedule.aliases);
  names.insert(names.end(), {schedule.name, schedule.label});
  std::ranges::transform(names, names.begin(), canonical);
  return names;
}

const SamplerName* sampler_called(const std::string& name) {
  const auto found = std::ranges::find_if(kSamplers, [&](const SamplerName& row) { return is_called(row, name); });
  return found == std::end(kSamplers) ? nullptr : &*found;
}

bool draws_noise(SchedulerKind kind) {
  return kind == Ours::kEulerAncestral || kind == Ours::kDpmpp2MSde || kind == Ours::kLcm;
}
// The web UI passes them no schedule either.
bool has_own_levels(SchedulerKind kind) { return kind == Ours::kPndm || kind == Ours::kDdim; }

std::string instead(const char* what, std::string_view name, std::string_view nearest) {
  return text_of({"there is no ", what, " ", name, " here; ", nearest, " is taken, which comes nearest"});
}

}  // namespace

std::span<const SamplerName> sampler_names() { return kSamplers; }
std::span<const ScheduleName> schedule_names() { return kSchedules; }

const SamplerName& sampler_name(SchedulerKind kind) { return *std::ranges::find(kSamplers, kind, &SamplerName::kind); }
std::vector<std::string> aliases_of(const SamplerName& sampler) { return words_of(sampler.aliases); }

const ScheduleName* find_schedule(std::string_view name) {
  if (name.size() > kMaxName) return nullptr;
  const std::string wanted = canonical(name);
  const auto found = std::ranges::find_if(
      kSchedules, [&](const ScheduleName& row) { return std::ranges::count(called(row), wanted); });
  return found == std::end(kSchedules) ? nullptr : &*found;
}

std::optional<FoundSampler> find_sampler(std::string_view name) {
  if (name.size() > kMaxName) return std::nullopt;
  const std::string wanted = canonical(name);
  if (const SamplerName* sampler = sampler_called(wanted)) return FoundSampler{sampler, nullptr};
  for (const ScheduleName& schedule : kSchedules) {
    for (const std::string& suffix : called(schedule)) {
      if (!wanted.ends_with(" " + suffix)) continue;
      const std::string rest = wanted.substr(0, wanted.size() - suffix.size() - 1);
      if (const SamplerName* sampler = sampler_called(rest)) return FoundSampler{sampler, &schedule};
    }
  }
  return std::nullopt;
}

Sampling sampling_of(const SamplerName& sampler, const ScheduleName* schedule) {
  const SamplerName& ours = sampler_name(sampler.kind);
  if (sampler.stands == Stands::kNot)
    fail<AbsentSampler>(
        INKSTONE_HERE,
        {sampler.name, " is not here, and another sampler would draw another image; the ", "nearest is ", ours.name});
  Sampling result{sampler.kind, std::nullopt, {}};
  if (sampler.stands == Stands::kNearest) result.warnings.push_back(instead("sampler", sampler.name, ours.name));
  if (!schedule || !schedule->karras) return result;
  if (has_own_levels(ours.kind)) {
    if (*schedule->karras || schedule->stands != Stands::kItself)
      result.warnings.push_back(
          text_of({ours.name, " has noise levels of its own: the schedule ", schedule->label, " has no effect"}));
    return result;
  }
  const bool near = schedule->stands == Stands::kNearest;
  const bool takes = !*schedule->karras || takes_karras(ours.kind);
  if ((near || !takes) && draws_noise(ours.kind))
    fail<AbsentSampler>(INKSTONE_HERE,
                        {"the schedule ", schedule->label, " is not here for ", ours.name,
                         ", and another one would draw another image; there are ",
                         takes_karras(ours.kind) ? "Automatic, Uniform and Karras" : "Automatic and Uniform"});
  result.karras = *schedule->karras && takes;
  if (near) result.warnings.push_back(instead("schedule", schedule->label, *result.karras ? "Karras" : "Uniform"));
  return result;
}

}  // namespace inkstone
