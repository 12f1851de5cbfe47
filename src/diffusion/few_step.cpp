#include "diffusion/few_step.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/error.h"
#include "base/json.h"
#include "base/spelling.h"

namespace inkstone {
namespace {

constexpr const char *kEuler = "EulerDiscreteScheduler", *kAncestral = "EulerAncestralDiscreteScheduler",
                     *kDdim = "DDIMScheduler", *kLcm = "LCMScheduler", *kTcd = "TCDScheduler";

// As the models' authors run them. A guidance of 1 or less is none.
constexpr FewStepKind kKinds[] = {
    {"sdxl-turbo", "SDXL-Turbo", "sdxlturbo diffusionxlturbo", "", kAncestral, "trailing", 1, 0, 512},
    {"sd-turbo", "SD-Turbo", "sdturbo", "", kEuler, "trailing", 1, 0, 512},
    {"lightning", "Lightning", "lightning", "", kEuler, "trailing", 4, 0, 0, true, false, true},
    {"hyper", "Hyper-SD", "hypersd", "hyper", kDdim, "trailing", 8, 0, 0, true},
    {"tcd", "TCD", "tcd", "", kTcd, "", 4, 0, 0, false, true},
    {"lcm", "LCM", "lcm", "", kLcm, "", 4, 1, 0, false, true}};
constexpr FewStepKind kDistilled = {"lcm", "LCM", "", "", kLcm, "", 4, 8.5f, 0, false, true};
constexpr int kMostSteps = 64;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

// Whether a word may end between these two: "RealCM" has no "lcm" in it, "foxLCM" has.
bool is_border(char before, char after) {
  return !((is_lower(before) && is_lower(after)) || (is_upper(before) && is_upper(after)));
}

// A name as lower-case letters and digits alone, and where each of them stands in it.
struct Squeezed {
  explicit Squeezed(std::string_view from) : name(from) {
    for (size_t at = 0; at < name.size(); ++at) {
      const char c = lower(name.substr(at, 1)).front();
      if (!is_lower(c) && !(c >= '0' && c <= '9')) continue;
      text += c;
      places.push_back(at);
    }
  }
  bool has(std::string_view word) const {
    for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
      const size_t begin = places[at], end = places[at + word.size() - 1] + 1;
      if ((begin == 0 || is_border(name[begin - 1], name[begin])) &&
          (end == name.size() || is_border(name[end - 1], name[end])))
        return true;
    }
    return false;
  }

  std::string_view name;
  std::string text;
  std::vector<size_t> places;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The number before "step": "Lightning_v2_4-Steps" -> 4. 0: there is none, or it is not few.
int steps_in(std::string_view name) {
  const std::string text = lower(name);
  for (size_t at = text.find("step"); at != text.npos; at = text.find("step", at + 1)) {
    size_t end = at;
    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '_' || text[end - 1] == '-')) --end;
    size_t begin = end;
    while (begin > 0 && is_digit(text[begin - 1])) --begin;
    int steps = 0;
    std::from_chars(text.data() + begin, text.data() + end, steps);
    if (steps >= 1 && steps <= kMostSteps) return steps;
  }
  return 0;
}

bool has_word(const Squeezed& name, std::string_view words) {
  while (!words.empty()) {
    const size_t end = std::min(words.find(' '), words.size());
    if (name.has(words.substr(0, end))) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

}  // namespace

std::optional<FewStep> few_step_of_name(std::string_view name, const std::string& known_by) {
  const Squeezed text(name);
  const int steps = steps_in(name);
  const auto found = std::ranges::find_if(kKinds, [&](const FewStepKind& kind) {
    return has_word(text, kind.words) || (steps && has_word(text, kind.words_with_steps));
  });
  if (found == std::end(kKinds)) return {};
  return FewStep{&*found, steps, known_by};
}

FewStep few_step_of_flag(const std::string& text) {
  const size_t colon = std::min(text.find(':'), text.size());
  FewStep what{nullptr, 0, "by --few-step"};
  if (text == "none") return what;
  const auto found = std::ranges::find(kKinds, std::string_view(text).substr(0, colon), &FewStepKind::name);
  const char* end = text.data() + text.size();
  const auto number = std::from_chars(text.data() + std::min(colon + 1, text.size()), end, what.steps);
  const bool good = colon == text.size() ||
                    (number.ec == std::errc() && number.ptr == end && what.steps >= 1 && what.steps <= kMostSteps);
  INKSTONE_CHECK_USAGE(found != std::end(kKinds) && good, "--few-step ", text, ": must be one of ",
                       listed(few_step_choices()), ", with N steps from 1 to ", kMostSteps);
  what.kind = &*found;
  return what;
}

std::vector<std::string> few_step_choices() {
  std::vector<std::string> choices{"none"};
  for (const FewStepKind& kind : kKinds) choices.push_back(std::string(kind.name) + (kind.one_count ? ":N" : ""));
  return choices;
}

std::optional<FewStep> few_step_of_scheduler(const ModelTraits& traits) {
  const JsonObject* config = traits.scheduler ? traits.scheduler->if_object() : nullptr;
  const Json* name = config ? config->if_contains("_class_name") : nullptr;
  const auto found = std::ranges::find_if(
      kKinds, [&](const FewStepKind& kind) { return kind.own_scheduler && name && *name == Json(kind.scheduler); });
  if (found == std::end(kKinds)) return {};
  return FewStep{&*found, 0, "by its scheduler"};
}

const FewStepKind& distilled_guidance() { return kDistilled; }

std::string few_step_hint(std::string_view name) {
  if (few_step_of_name(name) || Squeezed(name).text.find("turbo") == std::string::npos) return "";
  return "its name speaks of Turbo: merges of such models draw in 4 to 8 steps with a guidance of 1 to 2, as their "
         "authors say (--steps, --guidance, --scheduler; --few-step sdxl-turbo: as SDXL-Turbo itself)";
}

void apply(const FewStep& what, bool with_scheduler, ModelTraits& traits) {
  if (!what.kind) return;
  const FewStepKind& kind = *what.kind;
  traits.steps = what.steps ? what.steps : kind.steps;
  traits.guidance_scale = kind.guidance;
  traits.few_step = text_of({kind.label, " ", what.known_by});
  traits.only_steps = kind.one_count ? what.steps : 0;
  if (!with_scheduler || !traits.scheduler || !traits.scheduler->is_object()) return;
  JsonObject config = traits.scheduler->get_object();
  config["_class_name"] = kind.scheduler;
  if (*kind.spacing) config["timestep_spacing"] = kind.spacing;
  if (kind.image_at_one && what.steps == 1) config["prediction_type"] = "sample";
  traits.scheduler = std::make_shared<const Json>(std::move(config));
}

}  // namespace inkstone
