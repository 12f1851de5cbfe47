#include "load/load_request.h"

#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

constexpr size_t kMaxFileBytes = size_t{256} << 20;

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(at, begin), text.size());
    if (end > begin) parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

double number_of(std::string_view text, std::string_view flag) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  INKSTONE_CHECK_USAGE(error == std::errc() && end == text.data() + text.size() && std::isfinite(number), flag, " ",
                       shown(text), ": not a number");
  return number;
}

std::pair<int, int> size_of(std::string_view text) {  // "512" or "512x768"
  const size_t x = text.find('x');
  const int width = static_cast<int>(number_of(text.substr(0, x), "--sizes"));
  return {width, x == std::string_view::npos ? width : static_cast<int>(number_of(text.substr(x + 1), "--sizes"))};
}

template <typename Number = double>
Number number_of(const Json& value, std::string_view field) {
  boost::system::error_code error;
  const Number number = value.to_number<Number>(error);
  INKSTONE_CHECK_USAGE(!error, "the field ", shown(field), " is not a number that fits");
  return number;
}

std::string text_of(const Json& value, std::string_view field) {
  INKSTONE_CHECK_USAGE(value.is_string(), "the field ", shown(field), " is not a text");
  return std::string(value.get_string());
}

void set_field(LoadRequest& request, std::string_view name, const Json& value) {
  if (name == "prompt")
    request.prompt = text_of(value, name);
  else if (name == "negative_prompt")
    request.negative_prompt = text_of(value, name);
  else if (name == "seed")
    request.seed = number_of<uint64_t>(value, name);
  else if (name == "width")
    request.width = number_of<int>(value, name);
  else if (name == "height")
    request.height = number_of<int>(value, name);
  else if (name == "num_inference_steps")
    request.steps = number_of<int>(value, name);
  else if (name == "guidance_scale")
    request.guidance = number_of(value, name);
  else if (name == "scheduler")
    request.scheduler = text_of(value, name);
  else if (name == "num_images_per_prompt")
    request.images = number_of<int>(value, name);
  else if (name == "slo_ms")
    request.slo = number_of(value, name) / 1000;
  else if (name == "time" || name == "timestamp")
    request.at = number_of(value, name);
  else if (name == "priority")
    request.priority = text_of(value, name);
  else
    fail<UsageError>(INKSTONE_HERE, {"the field ", shown(name), " is not known here"});
}

}  // namespace

std::string LoadRequest::key() const {
  JsonObject object{{"prompt", prompt}, {"negative_prompt", negative_prompt}, {"seed", seed}};
  object["width"] = width;
  object["height"] = height;
  object["steps"] = steps;
  object["guidance"] = guidance ? Json(*guidance) : Json();
  object["scheduler"] = scheduler;
  object["images"] = images;
  return boost::json::serialize(object);
}

LoadRequest load_request_of(const JsonObject& object) {
  LoadRequest request;
  for (const auto& field : object)
    if (!field.value().is_null()) set_field(request, field.key(), field.value());
  return request;
}

std::vector<LoadRequest> read_requests(const std::string& path) {
  std::vector<LoadRequest> requests;
  int number = 0;
  const std::string text = read_file(path, kMaxFileBytes);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos || line[0] == '#') continue;
    const std::string place = path + ":" + std::to_string(number);
    const Json value = parse_json(line, place);
    INKSTONE_CHECK_USAGE(value.is_object(), place, ": each line is one object, {\"prompt\": ...}");
    try {
      requests.push_back(load_request_of(value.get_object()));
    } catch (const Error& error) {
      fail<UsageError>(INKSTONE_HERE, {place, ": ", error.what()});
    }
  }
  INKSTONE_CHECK_USAGE(!requests.empty(), path, ": no request in it");
  return requests;
}

Choice::Choice(std::string_view text, std::string_view flag) {
  for (const std::string& part : split(text, ',')) {
    const size_t dash = part.find('-', 1);
    const double min = number_of(std::string_view(part).substr(0, dash), flag);
    const double max = dash == std::string::npos ? min : number_of(std::string_view(part).substr(dash + 1), flag);
    INKSTONE_CHECK_USAGE(min <= max, flag, " ", part, ": a range goes upwards");
    ranges_.push_back({min, max});
  }
  INKSTONE_CHECK_USAGE(!ranges_.empty(), flag, ": a number, a list (4,8) or a range (4-20)");
}

double Choice::draw(Dice& dice) const {
  const Range& range = ranges_[dice.below(ranges_.size())];
  return dice.between(range.min, range.max);
}

double Choice::draw_whole(Dice& dice) const {
  const Range& range = ranges_[dice.below(ranges_.size())];
  return std::min(std::floor(dice.between(range.min, range.max + 1)), range.max);
}

std::vector<LoadRequest> draw_requests(const Mix& mix) {
  INKSTONE_CHECK_USAGE(mix.distinct >= 1 && mix.distinct <= 1'000'000, "--distinct ", mix.distinct,
                       ": at least one request");
  const std::vector<std::string> sizes = split(mix.sizes, ','), schedulers = split(mix.schedulers, ',');
  Dice dice(mix.seed);
  std::vector<LoadRequest> requests;
  for (int i = 0; i < mix.distinct; ++i) {
    LoadRequest request;
    if (!mix.prompts.empty()) request.prompt = mix.prompts[dice.below(mix.prompts.size())];
    request.negative_prompt = mix.negative_prompt;
    request.seed = mix.seed * 1000 + static_cast<uint64_t>(i);
    if (!sizes.empty()) std::tie(request.width, request.height) = size_of(sizes[dice.below(sizes.size())]);
    if (!mix.steps.empty()) request.steps = static_cast<int>(Choice(mix.steps, "--steps").draw_whole(dice));
    // A quarter at least apart: guidance is written the same in every API.
    if (!mix.guidance.empty()) request.guidance = std::round(Choice(mix.guidance, "--guidance").draw(dice) * 4) / 4;
    if (!schedulers.empty()) request.scheduler = schedulers[dice.below(schedulers.size())];
    request.images = mix.images;
    requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace inkstone
