// The folder as transformers 5 reads it: tokenizer.json if there is one, else vocab.json and
// merges.txt; tokenizer_config.json; special_tokens_map.json and added_tokens.json unless the
// config lists added_tokens_decoder.
#include "diffusion/tokenizer_files.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr int32_t kMaxIds = 1 << 20;
constexpr size_t kMaxBytes = size_t{16} << 20;  // of each file; CLIP's have 1 MiB, its tokenizer.json 3
constexpr char kStart[] = "<|startoftext|>", kEnd[] = "<|endoftext|>";

// Vocabulary.

int32_t id_of(const Json& value, const std::string& source, std::string_view token) {
  const int64_t* number = value.if_int64();
  INKSTONE_CHECK(number && *number >= 0 && *number < kMaxIds, source, ": the id of \"", shown(token),
                 "\" is not an integer from 0 to ", kMaxIds - 1);
  return static_cast<int32_t>(*number);
}

void read_vocabulary(TokenizerFiles& to, const Json& document, const std::string& source) {
  const JsonObject* object = document.if_object();
  INKSTONE_CHECK(object && !object->empty(), source, ": no object of tokens and their ids");
  std::unordered_map<int32_t, std::string_view> tokens;
  to.vocabulary.reserve(object->size());
  for (const auto& [token, value] : *object) {
    const int32_t id = id_of(value, source, token);
    const auto [other, is_new] = tokens.emplace(id, token);
    INKSTONE_CHECK(is_new, source, ": id ", id, " is both \"", shown(other->second), "\" and \"", shown(token), "\"");
    to.vocabulary.emplace(token, id);
  }
}

// Merges.

struct Place {
  const std::string& source;
  const char* unit;  // "merges.txt:12" or "tokenizer.json: merge 12"
  size_t number;
};
std::string text_of(const Place& place) { return place.source + place.unit + std::to_string(place.number); }

int32_t known(const TokenizerFiles& files, const std::string& piece, const Place& where) {
  const auto found = files.vocabulary.find(piece);
  INKSTONE_CHECK(found != files.vocabulary.end(), text_of(where), ": \"", shown(piece), "\" is not in the vocabulary");
  return found->second;
}

void add_merge(TokenizerFiles& to, const std::string& left, const std::string& right, const Place& where) {
  INKSTONE_CHECK(!left.empty() && !right.empty() && right.find(' ') == std::string::npos, text_of(where),
                 ": a merge is two pieces with one space between them");
  to.merges.push_back({known(to, left, where), known(to, right, where), known(to, left + right, where)});
}

void add_merge_line(TokenizerFiles& to, std::string_view line, const Place& where) {
  const size_t space = line.find(' ');
  INKSTONE_CHECK(space != std::string::npos, text_of(where), ": a merge is two pieces with one space between them");
  add_merge(to, std::string(line.substr(0, space)), std::string(line.substr(space + 1)), where);
}

// Calls visit(line, number) for each line except version lines and empty lines at the end.
template <typename Visit>
void for_merge_lines(std::string_view text, const Visit& visit) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!line.starts_with("#version")) visit(line, number);
  }
}

// Tokens matched whole.

AddedToken added_token(const Json& value, bool special, const std::string& source, std::string_view key) {
  if (const auto* text = value.if_string()) return {std::string(*text), false};
  const JsonObject* object = value.if_object();
  const Json* content = object ? object->if_contains("content") : nullptr;
  INKSTONE_CHECK(content && content->is_string(), source, ": ", shown(key),
                 " is neither a text nor an object with \"content\"");
  const auto flag = [&](const char* name, bool otherwise) {
    const Json* set = object->if_contains(name);
    if (!set || set->is_null()) return otherwise;
    INKSTONE_CHECK(set->is_bool(), source, ": ", shown(key), ": \"", name, "\" is not true or false");
    return set->get_bool();
  };
  for (const char* name : {"lstrip", "rstrip", "single_word"}) {
    INKSTONE_CHECK(!flag(name, false), source, ": ", shown(key), ": \"", name, "\" is not supported");
  }
  special = flag("special", special);
  return {std::string(content->get_string()), flag("normalized", !special)};
}

// The settings of a folder, and the file of each.
struct Settings {
  JsonObject values;
  std::string source;  // tokenizer_config.json
  JsonObject special;  // special_tokens_map.json, which goes before
  std::string special_source;
  std::map<int32_t, AddedToken> listed;  // by id

  const Json* find(std::string_view key) const {
    const Json* value = special.if_contains(key);
    if (!value) value = values.if_contains(key);
    return value && !value->is_null() ? value : nullptr;
  }
  bool in_special(std::string_view key) const { return special.contains(key); }
  AddedToken token(const Json& value, std::string_view key) const {
    return added_token(value, in_special(key), in_special(key) ? special_source : source, key);
  }
};

constexpr std::array kNamed = {"bos_token", "eos_token", "unk_token", "sep_token",
                               "pad_token", "cls_token", "mask_token"};

JsonObject object_in(const fs::path& path) {
  Json document = read_json(path, kMaxBytes);
  INKSTONE_CHECK(document.is_object(), path.string(), ": not a JSON object");
  return std::move(document.get_object());
}

// Special tokens by role, then those without one. If a token is listed twice, the last entry
// counts.
std::vector<AddedToken> named_tokens(const Settings& settings) {
  std::vector<AddedToken> result;
  for (const char* key : kNamed) {
    if (const Json* value = settings.find(key)) {
      result.push_back(settings.token(*value, key));
    } else if (std::string_view(key) == "bos_token") {
      result.push_back({kStart, false});
    } else if (std::string_view(key) == "eos_token") {
      result.push_back({kEnd, false});
    }
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const Json* value = settings.find(key);
    if (!value || !value->is_array()) continue;
    for (const Json& one : value->get_array()) result.push_back(settings.token(one, key));
  }
  return result;
}

void read_added_tokens_file(Settings& settings, const fs::path& path) {
  std::unordered_set<std::string> special;
  for (const AddedToken& token : named_tokens(settings)) special.insert(token.content);
  for (const auto& [token, value] : object_in(path)) {
    const std::string content(token);
    settings.listed[id_of(value, path.string(), token)] = {content, !special.contains(content)};
  }
}

void read_added_tokens(Settings& settings, const Json& list, const std::string& source) {
  INKSTONE_CHECK(list.is_array(), source, ": \"added_tokens\" is not a list");
  for (const Json& one : list.get_array()) {
    const AddedToken token = added_token(one, false, source, "an added token");
    const Json* id = one.is_object() ? one.get_object().if_contains("id") : nullptr;
    INKSTONE_CHECK(id, source, ": the added token \"", shown(token.content), "\" has no id");
    settings.listed[id_of(*id, source, token.content)] = token;
  }
}

int32_t id_from_key(std::string_view key, const std::string& source) {
  const bool digits = !key.empty() && key.size() < 8 && key.find_first_not_of("0123456789") == std::string_view::npos;
  const int32_t id = digits ? std::stoi(std::string(key)) : kMaxIds;
  INKSTONE_CHECK(id < kMaxIds, source, ": \"added_tokens_decoder\" has a key \"", shown(key),
                 "\" that is not an integer from 0 to ", kMaxIds - 1);
  return id;
}

// model: the document tokenizer.json, or nullptr.
Settings read_settings(const fs::path& folder, const JsonObject* model) {
  Settings settings;
  const fs::path config = folder / "tokenizer_config.json", special = folder / "special_tokens_map.json";
  settings.source = config.string();
  settings.special_source = special.string();
  if (is_listed(config)) settings.values = object_in(config);
  if (const Json* listed = settings.values.if_contains("added_tokens_decoder")) {
    INKSTONE_CHECK(listed->is_object(), settings.source, ": \"added_tokens_decoder\" is not an object");
    for (const auto& [key, value] : listed->get_object()) {
      settings.listed[id_from_key(key, settings.source)] = added_token(value, false, settings.source, key);
    }
    return settings;
  }
  if (is_listed(special)) settings.special = object_in(special);
  if (is_listed(folder / "added_tokens.json")) read_added_tokens_file(settings, folder / "added_tokens.json");
  const Json* added = model ? model->if_contains("added_tokens") : nullptr;
  if (added) read_added_tokens(settings, *added, (folder / "tokenizer.json").string());
  return settings;
}

// Gives the tokens their ids: the vocabulary's, else the list's.
void place_added(TokenizerFiles& to, const Settings& settings) {
  std::vector<AddedToken> all;
  std::unordered_map<std::string, int32_t> listed;
  for (const auto& [id, token] : settings.listed) {
    all.push_back(token);
    listed.emplace(token.content, id);
  }
  for (const AddedToken& token : named_tokens(settings)) {
    if (!listed.contains(token.content)) all.push_back(token);
  }
  std::unordered_map<int32_t, std::string> holders;
  for (const auto& [token, id] : to.vocabulary) holders.emplace(id, token);
  for (AddedToken& token : all) {
    const auto found = to.vocabulary.find(token.content);
    const auto given = listed.find(token.content);
    if (token.content.empty() || (found == to.vocabulary.end() && given == listed.end())) continue;
    token.id = found != to.vocabulary.end() ? found->second : given->second;
    const auto [holder, is_new] = holders.emplace(token.id, token.content);
    INKSTONE_CHECK(is_new || holder->second == token.content, settings.source, ": the added token \"",
                   shown(token.content), "\" has the id ", token.id, " of \"", shown(holder->second), "\"");
    std::erase_if(to.added, [&](const AddedToken& one) { return one.content == token.content; });
    to.added.push_back(token);
  }
}

int32_t role(const TokenizerFiles& files, const Settings& settings, const char* key, const char* otherwise) {
  const Json* value = settings.find(key);
  const std::string content = value ? settings.token(*value, key).content : otherwise;
  const auto is_it = [&](const AddedToken& token) { return token.content == content; };
  const auto added = std::find_if(files.added.begin(), files.added.end(), is_it);
  if (added != files.added.end()) return added->id;
  const auto found = files.vocabulary.find(content);
  INKSTONE_CHECK(found != files.vocabulary.end(), settings.source, ": ", key, " \"", shown(content),
                 "\" is not in the vocabulary");
  return found->second;
}

int length_of(const Settings& settings) {
  constexpr int kClip = 77, kMost = 1 << 16;
  const Json* value = settings.find("model_max_length");
  if (!value) value = settings.find("max_len");
  if (!value) return kClip;
  if (*value == Json("Infinity")) return kClip;  // as Python writes it
  INKSTONE_CHECK(value->is_number(), settings.source, ": model_max_length is not a number");
  const double length = value->to_number<double>();
  if (length > kMost) return kClip;  // 1e30 stands for "not known"
  INKSTONE_CHECK(length >= 3 && length == static_cast<int>(length), settings.source, ": model_max_length ", length,
                 " is not an integer of 3 or more");
  return static_cast<int>(length);
}

void settle(TokenizerFiles& files, const Settings& settings) {
  place_added(files, settings);
  files.start = role(files, settings, "bos_token", kStart);
  files.end = role(files, settings, "eos_token", kEnd);
  files.unknown = role(files, settings, "unk_token", kEnd);
  files.padding = role(files, settings, "pad_token", kEnd);
  files.max_length = length_of(settings);
}

// "a", "a</w>": what words are cut into before any merge.
bool is_one_byte(std::string_view token) {
  constexpr std::string_view kWordEnd = "</w>";
  if (token.size() > kWordEnd.size() && token.ends_with(kWordEnd)) token.remove_suffix(kWordEnd.size());
  const auto begins_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  return std::ranges::count_if(token, begins_character) == 1;
}

// "<cat-toy>": a token that people write into the vocabulary by hand.
bool is_bracketed(std::string_view token) {
  return token.starts_with('<') && token.ends_with('>') && !token.ends_with("</w>");
}

// Merges that were cut off at a line's end would make other tokens without a word. So each longer
// entry of the vocabulary must be made by one.
void check_complete(const TokenizerFiles& files, const std::string& source) {
  std::unordered_set<int32_t> made;
  for (const Merge& merge : files.merges) made.insert(merge.joined);
  for (const AddedToken& token : files.added) made.insert(token.id);
  size_t missing = 0;
  const std::pair<const std::string, int32_t>* first = nullptr;
  for (const auto& entry : files.vocabulary) {
    if (made.contains(entry.second) || is_one_byte(entry.first) || is_bracketed(entry.first)) continue;
    ++missing;
    if (!first || entry.second < first->second) first = &entry;
  }
  INKSTONE_CHECK(!first, source, " is cut off or empty: of the vocabulary's ", files.vocabulary.size(), " entries ",
                 missing, " are made by no merge, the first is \"", first ? shown(first->first) : "",
                 "\": download it again");
}

void read_model(TokenizerFiles& to, const JsonObject& document, const std::string& source) {
  const Json* model = document.if_contains("model");
  const JsonObject* parts = model ? model->if_object() : nullptr;
  const Json* vocabulary = parts ? parts->if_contains("vocab") : nullptr;
  const Json* merges = parts ? parts->if_contains("merges") : nullptr;
  INKSTONE_CHECK(vocabulary && merges && merges->is_array(), source, ": no \"model\" with \"vocab\" and \"merges\"");
  const Json* suffix = parts->if_contains("end_of_word_suffix");
  INKSTONE_CHECK(suffix && suffix->is_string() && suffix->get_string() == "</w>", source,
                 ": not CLIP's byte-pair encoding (\"end_of_word_suffix\" is not \"</w>\")");
  read_vocabulary(to, *vocabulary, source);
  size_t number = 0;
  for (const Json& merge : merges->get_array()) {
    const Place where{source, ": merge ", ++number};
    if (const auto* line = merge.if_string()) {
      add_merge_line(to, *line, where);
      continue;
    }
    const JsonArray* pair = merge.if_array();
    INKSTONE_CHECK(pair && pair->size() == 2 && (*pair)[0].is_string() && (*pair)[1].is_string(), text_of(where),
                   " is not two pieces");
    add_merge(to, std::string((*pair)[0].get_string()), std::string((*pair)[1].get_string()), where);
  }
}

}  // namespace

TokenizerFiles read_tokenizer(const fs::path& folder) {
  TokenizerFiles files;
  const fs::path whole = folder / "tokenizer.json", merges = folder / "merges.txt";
  if (is_listed(whole)) {
    const JsonObject document = object_in(whole);
    read_model(files, document, whole.string());
    settle(files, read_settings(folder, &document));
    check_complete(files, whole.string());
    return files;
  }
  INKSTONE_CHECK(fs::is_directory(folder), folder.string(), ": no such tokenizer folder");
  read_vocabulary(files, read_json(folder / "vocab.json", kMaxBytes), (folder / "vocab.json").string());
  const std::string source = merges.string();
  for_merge_lines(read_file(merges, kMaxBytes), [&](std::string_view line, size_t number) {
    add_merge_line(files, line, {source, ":", number});
  });
  settle(files, read_settings(folder, nullptr));
  check_complete(files, source);
  return files;
}

TokenizerFiles tokenizer_of_merges(std::string_view merges_text, const std::string& padding) {
  // CLIP does not use the rest of its file.
  constexpr size_t kMaxMerges = 49152 - 256 - 2;
  TokenizerFiles files;
  const auto add = [&](const std::string& token) {
    files.vocabulary.emplace(token, static_cast<int32_t>(files.vocabulary.size()));
  };
  std::vector<uint8_t> order;  // those that print come first
  for (const bool plain : {true, false}) {
    for (int byte = 0; byte < 256; ++byte) {
      const bool is_plain = written_byte(static_cast<uint8_t>(byte)) < "\u0100";
      if (is_plain == plain) order.push_back(static_cast<uint8_t>(byte));
    }
  }
  for (const char* suffix : {"", "</w>"}) {
    for (const uint8_t byte : order) add(written_byte(byte) + suffix);
  }
  const std::string source = "CLIP's merges";
  for_merge_lines(merges_text, [&](std::string_view line, size_t number) {
    if (line.find("#version") != std::string_view::npos || files.merges.size() == kMaxMerges) return;
    const size_t space = line.find(' ');
    if (space != std::string_view::npos) add(std::string(line.substr(0, space)) + std::string(line.substr(space + 1)));
    add_merge_line(files, line, {source, ":", number});
  });
  add(kStart);
  add(kEnd);
  Settings settings;
  settings.source = source;
  if (!padding.empty()) settings.values["pad_token"] = padding;
  settle(files, settings);
  return files;
}

std::string written_byte(uint8_t byte) {
  const auto prints = [](int value) {
    return (value >= '!' && value <= '~') || (value >= 0xA1 && value <= 0xAC) || value >= 0xAE;
  };
  int code = byte;
  if (!prints(byte)) {
    code = 0x100;
    for (int before = 0; before < byte; ++before) code += !prints(before);
  }
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

}  // namespace inkstone
