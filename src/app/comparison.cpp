#include "app/comparison.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/byte_size.h"
#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

constexpr const char* kStages[] = {"text_encoder", "guided_step", "vae"};

// The value at a path of keys; nullptr where there is none.
const Json* find(const JsonObject& object, std::initializer_list<const char*> path) {
  const JsonObject* at = &object;
  const Json* value = nullptr;
  for (const char* key : path) {
    value = at ? at->if_contains(key) : nullptr;
    if (!value) return nullptr;
    at = value->if_object();
  }
  return value;
}

std::optional<double> number(const JsonObject& object, std::initializer_list<const char*> path) {
  const Json* value = find(object, path);
  if (!value || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}

std::string text(const JsonObject& object, std::initializer_list<const char*> path) {
  const Json* value = find(object, path);
  return value && value->is_string() ? std::string(value->as_string()) : "";
}

const JsonArray* ops_of(const JsonObject& result, const char* stage) {
  const Json* ops = find(result, {"stages", stage, "ops"});
  return ops ? ops->if_array() : nullptr;
}

const JsonObject* find_op(const JsonArray* ops, const std::string& name) {
  if (!ops) return nullptr;
  for (const Json& op : *ops)
    if (op.is_object() && text(op.as_object(), {"op"}) == name) return &op.as_object();
  return nullptr;
}

Compared row(const std::string& stage, const std::string& op, const JsonObject* now, const JsonObject* before) {
  static const JsonObject kNone;
  const JsonObject &a = now ? *now : kNone, &b = before ? *before : kNone;
  const auto fraction = [](const JsonObject& of) {
    const auto value = number(of, {"fraction_of_peak"});
    return value == 0 ? std::nullopt : value;  // an op that only moves data
  };
  return {stage, op, number(a, {"seconds"}), number(b, {"seconds"}), fraction(a), fraction(b)};
}

const JsonObject* object_at(const JsonObject& object, std::initializer_list<const char*> path) {
  const Json* value = find(object, path);
  return value ? value->if_object() : nullptr;
}

void add_stage(Comparison& comparison, const char* stage, const JsonObject& now, const JsonObject& before) {
  comparison.rows.push_back(row(stage, "", object_at(now, {"stages", stage}), object_at(before, {"stages", stage})));
  const JsonArray *ops = ops_of(now, stage), *ops_before = ops_of(before, stage);
  const auto add_ops = [&](const JsonArray* listed, bool only_new) {
    for (const Json& op : listed ? *listed : JsonArray()) {
      const std::string name = op.is_object() ? text(op.as_object(), {"op"}) : "";
      const JsonObject* other = find_op(ops, name);
      if (name.empty() || (only_new && other)) continue;
      comparison.rows.push_back(row(stage, name, other, find_op(ops_before, name)));
    }
  };
  add_ops(ops, false);
  add_ops(ops_before, true);
}

std::string cell(const std::optional<double>& value, double scale, int digits, const char* unit) {
  return value ? fmt::format("{:.{}f}{}", *value * scale, digits, unit) : "-";
}

Json json_of(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

}  // namespace

JsonObject read_bench(const std::filesystem::path& path) {
  const Json json = read_json(path);
  const std::string source = path.string();
  const JsonObject* object = json.if_object();
  for (const char* stage : kStages)
    INKSTONE_CHECK(object && number(*object, {"stages", stage, "seconds"}), source,
                   " is no result of inkstone bench (it has no stages.", stage,
                   ".seconds): write one with inkstone bench --out FILE");
  return *object;
}

void expect_same_work(const JsonObject& before, const std::string& source, const JsonObject& now) {
  const auto parameters = number(now, {"model", "parameters"}), theirs = number(before, {"model", "parameters"});
  INKSTONE_CHECK_USAGE(theirs == parameters, "--compare ", source, ": it measured another model, ",
                       shown(text(before, {"model", "name"})), " of ", cell(theirs, 1, 0, ""),
                       " parameters: give that one with --model");
  for (const char* side : {"width", "height"})
    INKSTONE_CHECK_USAGE(number(before, {side}) == number(now, {side}), "--compare ", source, ": it measured ",
                         cell(number(before, {"width"}), 1, 0, ""), "x", cell(number(before, {"height"}), 1, 0, ""),
                         ": give --width and --height as there");
}

std::optional<double> ratio(const std::optional<double>& now, const std::optional<double>& before) {
  if (!now || !before || *before == 0) return std::nullopt;
  return *now / *before;
}

Comparison compare(const JsonObject& now, const JsonObject& before, const std::string& source) {
  Comparison comparison{source, {}, {}, {}, {}};
  const auto note = [&](const char* what, const std::string& here, const std::string& there) {
    if (here != there) comparison.notes.push_back(fmt::format("{}: {} now, {} before", what, here, shown(there)));
  };
  const auto whole = [&](const JsonObject& of, std::initializer_list<const char*> path) {
    return cell(number(of, path), 1, 0, "");
  };
  note("precision", text(now, {"precision"}), text(before, {"precision"}));
  note("model", text(now, {"model", "name"}), text(before, {"model", "name"}));
  note("approximations", text(now, {"approximations"}), text(before, {"approximations"}));
  note("device", text(now, {"machine", "description"}), text(before, {"machine", "description"}));
  note("threads", whole(now, {"machine", "threads"}), whole(before, {"machine", "threads"}));
  for (const char* stage : kStages) add_stage(comparison, stage, now, before);
  // Images of other steps are other work: then those by the medians are compared.
  const bool same_steps = number(now, {"steps"}) == number(before, {"steps"});
  const auto whole_of = [&](const JsonObject& of) {
    return same_steps ? object_at(of, {"end_to_end"}) : object_at(of, {"end_to_end", "by_medians"});
  };
  comparison.rows.push_back(row("end_to_end", "", whole_of(now), whole_of(before)));
  comparison.rows.push_back({"first_step",
                             "",
                             number(now, {"first_step", "total_seconds"}),
                             number(before, {"first_step", "total_seconds"}),
                             {},
                             {}});
  comparison.bytes = number(now, {"memory", "measured_peak_bytes"});
  comparison.bytes_before = number(before, {"memory", "measured_peak_bytes"});
  return comparison;
}

JsonObject comparison_json(const Comparison& comparison) {
  JsonArray rows;
  for (const Compared& row : comparison.rows)
    rows.push_back(JsonObject{{"stage", row.stage},
                              {"op", row.op.empty() ? Json() : Json(row.op)},
                              {"seconds", json_of(row.seconds)},
                              {"seconds_before", json_of(row.seconds_before)},
                              {"seconds_ratio", json_of(ratio(row.seconds, row.seconds_before))},
                              {"fraction_of_peak", json_of(row.fraction)},
                              {"fraction_of_peak_before", json_of(row.fraction_before)},
                              {"fraction_of_peak_ratio", json_of(ratio(row.fraction, row.fraction_before))}});
  return {{"file", comparison.source},
          {"notes", JsonArray(comparison.notes.begin(), comparison.notes.end())},
          {"rows", std::move(rows)},
          {"measured_peak_bytes", json_of(comparison.bytes)},
          {"measured_peak_bytes_before", json_of(comparison.bytes_before)},
          {"measured_peak_bytes_ratio", json_of(ratio(comparison.bytes, comparison.bytes_before))}};
}

std::string comparison_table(const Comparison& comparison) {
  std::string lines = fmt::format("compared with {}\n", comparison.source);
  for (const std::string& note : comparison.notes) lines += "  note: " + note + "\n";
  lines += fmt::format("  {:<20}{:>11}{:>11}{:>12}{:>14}{:>9}{:>12}\n", "", "ms now", "before", "now/before",
                       "of peak now", "before", "now/before");
  for (const Compared& row : comparison.rows)
    lines +=
        fmt::format("  {:<20}{:>11}{:>11}{:>12}{:>14}{:>9}{:>12}\n", row.op.empty() ? row.stage : "  " + row.op,
                    cell(row.seconds, 1e3, 3, ""), cell(row.seconds_before, 1e3, 3, ""),
                    cell(ratio(row.seconds, row.seconds_before), 1, 3, ""), cell(row.fraction, 100, 1, " %"),
                    cell(row.fraction_before, 100, 1, " %"), cell(ratio(row.fraction, row.fraction_before), 1, 3, ""));
  const auto bytes = [](const std::optional<double>& value) {
    return value ? byte_text(static_cast<uint64_t>(*value)) : std::string("-");
  };
  return lines + fmt::format("  {:<20}{:>11}{:>11}{:>12}\n", "peak memory", bytes(comparison.bytes),
                             bytes(comparison.bytes_before),
                             cell(ratio(comparison.bytes, comparison.bytes_before), 1, 3, ""));
}

}  // namespace inkstone
