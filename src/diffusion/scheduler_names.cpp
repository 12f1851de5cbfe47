#include "diffusion/scheduler_names.h"

#include <algorithm>
#include <iterator>

#include "base/spelling.h"

namespace inkstone {
namespace {

using Ours = SchedulerKind;
constexpr size_t kMaxName = 64;  // bytes; nobody's are longer
constexpr Stands kItself = Stands::kItself, kNearest = Stands::kNearest, kNot = Stands::kNot;
constexpr Schedule kOwn = Schedule::kDefault, kUniform = Schedule::kUniform, kKarras = Schedule::kKarras,
                   kExponential = Schedule::kExponential;

// clang-format off
constexpr SamplerName kSamplers[] = {
    {"DPM++ 2M", "k_dpmpp_2m dpmpp_2m", Ours::kDpmpp2M, kItself, kKarras},
    {"DPM++ SDE", "k_dpmpp_sde dpmpp_sde", Ours::kDpmppSde, kItself, kKarras},
    {"DPM++ 2M SDE", "k_dpmpp_2m_sde dpmpp_2m_sde", Ours::kDpmpp2MSde, kItself, kExponential},
    {"DPM++ 2S a", "k_dpmpp_2s_a dpmpp_2s_ancestral", Ours::kDpmpp2SAncestral, kItself, kKarras},
    {"DPM++ 3M SDE", "k_dpmpp_3m_sde dpmpp_3m_sde", Ours::kDpmpp3MSde, kItself, kExponential},
    {"Euler a", "k_euler_a k_euler_ancestral euler_a euler_ancestral", Ours::kEulerAncestral},
    {"Euler", "k_euler", Ours::kEuler},
    {"LMS", "k_lms", Ours::kLms},
    {"Heun", "k_heun", Ours::kHeun},
    {"DPM2", "k_dpm_2 dpm_2", Ours::kDpm2, kItself, kKarras},
    {"DPM2 a", "k_dpm_2_a dpm_2_a dpm2_ancestral dpm_2_ancestral", Ours::kDpm2Ancestral, kItself, kKarras},
    {"DDIM", "ddim", Ours::kDdim, kItself, kOwn},
    {"PLMS", "plms pndm", Ours::kPndm, kItself, kOwn},
    {"UniPC", "unipc uni_pc uni_pc_bh2", Ours::kUniPc, kItself, kOwn},
    {"LCM", "k_lcm", Ours::kLcm, kItself, kOwn},
    {"TCD", "tcd", Ours::kTcd, kItself, kOwn},
    {"DEIS", "deis", Ours::kDeis, kItself, kOwn},
    // Deterministic ones, which all draw near the same image.
    {"Heun++ 2", "heunpp2 exp_heun_2_x0", Ours::kHeun, kNearest},
    {"DPM fast", "", Ours::kDpmpp2M, kNearest},
    {"DPM adaptive", "", Ours::kDpmpp2M, kNearest},
    {"DPM++ 2M v2", "dpm++2mv2", Ours::kDpmpp2M, kNearest},
    {"DPM++ 2S", "DPMSolverSinglestepScheduler", Ours::kDpmpp2M, kNearest},
    {"DPM++ 3M", "", Ours::kDpmpp2M, kNearest},
    {"Res Multistep", "", Ours::kDpmpp2M, kNearest},
    {"iPNDM", "ipndm_v IPNDMScheduler", Ours::kPndm, kNearest, kOwn},
    // These draw noise of their own, or read the guidance in another way.
    {"DPM++ 2M SDE Heun", "", Ours::kDpmpp2MSde, kNot, kExponential},
    {"Restart", "", Ours::kDpmpp2MSde, kNot, kKarras},
    {"DDPM", "DDPMScheduler", Ours::kEulerAncestral, kNot},
    {"Res Multistep a", "res_multistep_ancestral", Ours::kEulerAncestral, kNot},
    {"ER SDE", "", Ours::kDpmppSde, kNot},
    {"SA Solver", "SASolverScheduler", Ours::kDpmppSde, kNot},
    {"DDIM CFG++", "ddim_cfg_pp", Ours::kDdim, kNot, kOwn},
    {"Euler CFG++", "euler_cfg_pp", Ours::kEuler, kNot},
    {"Euler a CFG++", "euler_ancestral_cfg_pp", Ours::kEulerAncestral, kNot},
};

constexpr ScheduleName kScheduleNames[] = {
    {"automatic", "Automatic", "", kOwn},
    {"uniform", "Uniform", "normal discrete", kUniform},
    {"karras", "Karras", "ka", kKarras},
    {"exponential", "Exponential", "", kExponential},
    {"polyexponential", "Polyexponential", "", kExponential},  // whose rho is 1
    {"sgm_uniform", "SGM Uniform", "", Schedule::kSgmUniform},
    {"kl_optimal", "KL Optimal", "", Schedule::kKlOptimal},
    {"align_your_steps", "Align Your Steps", "", Schedule::kAlignYourSteps},
    {"simple", "Simple", "", Schedule::kSimple},
    {"ddim", "DDIM", "", Schedule::kDdimUniform},
    {"beta", "Beta", "", Schedule::kBeta},
    {"leading", "Leading", "", Schedule::kLeading},
    {"linspace", "Linspace", "", Schedule::kLinspace},
    {"trailing", "Trailing", "", Schedule::kTrailing},
    {"lu", "Lu", "", Schedule::kLu},
    {"align_your_steps_GITS", "Align Your Steps GITS", "gits", Schedule::kAlignYourSteps, kNearest},
    {"turbo", "Turbo", "", Schedule::kTrailing, kNearest},
    {"linear_quadratic", "Linear Quadratic", "", kUniform, kNearest},
    {"smoothstep", "Smoothstep", "", kUniform, kNearest},
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
  const bool ours = sampler.stands == kItself && !name.empty();
  if (ours && (canonical(name_of(sampler.kind)) == name || canonical(diffusers_class(sampler.kind)) == name))
    return true;
  return std::ranges::any_of(words_of(sampler.aliases),
                             [&](const std::string& word) { return canonical(word) == name; });
}

std::vector<std::string> called(const ScheduleName& schedule) {
  std::vector<std::string> names = words_of(schedule.aliases);
  names.insert(names.end(), {schedule.name, schedule.label});
  if (&schedule == &schedule_name(schedule.schedule)) names.push_back(name_of(schedule.schedule));
  std::ranges::transform(names, names.begin(), canonical);
  return names;
}

const SamplerName* sampler_called(const std::string& name) {
  const auto found = std::ranges::find_if(kSamplers, [&](const SamplerName& row) { return is_called(row, name); });
  return found == std::end(kSamplers) ? nullptr : &*found;
}

std::string instead(const char* what, std::string_view name, std::string_view nearest) {
  return text_of({"there is no ", what, " ", name, " here; ", nearest, " is taken, which comes nearest"});
}

std::string labels_for(SchedulerKind kind) {
  std::vector<std::string> labels;
  for (const ScheduleName& schedule : kScheduleNames)
    if (schedule.stands == kItself && takes_schedule(kind, schedule.schedule)) labels.emplace_back(schedule.label);
  return listed(labels);
}

}  // namespace

std::span<const SamplerName> sampler_names() { return kSamplers; }
std::span<const ScheduleName> schedule_names() { return kScheduleNames; }

const SamplerName& sampler_name(SchedulerKind kind) { return *std::ranges::find(kSamplers, kind, &SamplerName::kind); }
const ScheduleName& schedule_name(Schedule schedule) {
  return *std::ranges::find(kScheduleNames, schedule, &ScheduleName::schedule);
}
std::vector<std::string> aliases_of(const SamplerName& sampler) { return words_of(sampler.aliases); }

const ScheduleName* find_schedule(std::string_view name) {
  if (name.size() > kMaxName) return nullptr;
  const std::string wanted = canonical(name);
  const auto found = std::ranges::find_if(
      kScheduleNames, [&](const ScheduleName& row) { return std::ranges::count(called(row), wanted); });
  return found == std::end(kScheduleNames) ? nullptr : &*found;
}

std::optional<FoundSampler> find_sampler(std::string_view name) {
  if (name.size() > kMaxName) return std::nullopt;
  const std::string wanted = canonical(name);
  if (const SamplerName* sampler = sampler_called(wanted)) return FoundSampler{sampler, nullptr};
  for (const ScheduleName& schedule : kScheduleNames) {
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
  if (sampler.stands == kNot)
    fail<AbsentSampler>(
        INKSTONE_HERE,
        {sampler.name, " is not here, and another sampler would draw another image; the ", "nearest is ", ours.name});
  Sampling result{sampler.kind, std::nullopt, {}};
  if (sampler.stands == kNearest) result.warnings.push_back(instead("sampler", sampler.name, ours.name));
  if (!schedule || schedule->schedule == kOwn) return result;
  const bool near = schedule->stands == kNearest, takes = takes_schedule(ours.kind, schedule->schedule);
  if (!takes && !takes_schedule(ours.kind, kUniform)) {
    // The noise levels of PLMS, DDIM and LCM are their own; the web UI passes them no schedule either.
    if (schedule->schedule == kUniform && !near) return result;
    if (!draws_noise(ours.kind)) {
      result.warnings.push_back(
          text_of({ours.name, " has noise levels of its own: the schedule ", schedule->label, " has no effect"}));
      return result;
    }
  }
  if (!takes || (near && draws_noise(ours.kind)))
    fail<AbsentSampler>(INKSTONE_HERE,
                        {"the schedule ", schedule->label, " is not here for ", ours.name,
                         ", and another one would draw another image; there are ", labels_for(ours.kind)});
  result.schedule = schedule->schedule;
  if (near) result.warnings.push_back(instead("schedule", schedule->label, schedule_name(schedule->schedule).label));
  return result;
}

}  // namespace inkstone
