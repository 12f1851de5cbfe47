#include "hub/choice.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "weights/weight_files.h"

namespace inkstone {
namespace {

constexpr const char* kNetworks[] = {"unet", "vae"};
constexpr const char* kWantedAlways[] = {"unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"};
constexpr const char* kGeneration = "generation_config.json";
constexpr std::pair<const char*, const char*> kTextEncoders[] = {{"text_encoder", "tokenizer/"},
                                                                 {"text_encoder_2", "tokenizer_2/"}};
constexpr const char* kSecondConfig = "text_encoder_2/config.json";
constexpr const char* kOfTokenizer[] = {
    "tokenizer.json",          "vocab.json",       "merges.txt", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json"};
// A file that is not weights and is larger is not what its name says.
constexpr uint64_t kMostOfSmallFile = uint64_t{64} << 20;

std::vector<std::string> top_names(const HubListing& listing) {
  std::set<std::string> names;
  for (const HubFile& file : listing.files) {
    const size_t slash = file.path.find('/');
    names.insert(shown(slash == std::string::npos ? file.path : file.path.substr(0, slash + 1)));
  }
  return {names.begin(), names.end()};
}

std::string some_of(const std::vector<std::string>& names) { return listed(names, 10); }

void check_small(const HubFile& file, const std::string& model) {
  INKSTONE_CHECK(file.size <= kMostOfSmallFile, model, ": ", file.path, " has ", file.size, " bytes, at most ",
                 kMostOfSmallFile, " are read");
}

void add_small(ModelFiles& files, const HubFile& file, const std::string& model) {
  check_small(file, model);
  files.small.push_back(&file);
}

void add_tokenizer(ModelFiles& files, const HubListing& listing, const std::string& model, const std::string& folder) {
  for (const char* name : kOfTokenizer)
    if (const HubFile* file = listing.find(folder + name)) add_small(files, *file, model);
  INKSTONE_CHECK(listing.find(folder + "tokenizer.json") ||
                     (listing.find(folder + "vocab.json") && listing.find(folder + "merges.txt")),
                 model, " has neither ", folder, "tokenizer.json nor ", folder, "vocab.json and ", folder,
                 "merges.txt");
}

struct VariantName {
  WeightVariant variant;
  std::string_view name, form;  // on the command line, and in a file's name
};
constexpr VariantName kVariants[] = {{WeightVariant::kAuto, "auto", ""},
                                     {WeightVariant::kFp16, "fp16", "fp16"},
                                     {WeightVariant::kBf16, "bf16", "bf16"},
                                     {WeightVariant::kNonEma, "non_ema", "non_ema"},
                                     {WeightVariant::kNone, "none", ""}};

const VariantName& name_of(WeightVariant variant) {
  return *std::ranges::find(kVariants, variant, &VariantName::variant);
}

bool is_wanted(const WeightForm& form, WeightVariant variant) {
  return variant == WeightVariant::kAuto || form.variant == name_of(variant).form;
}

std::string why_no_weights(const HubListing& listing, const std::string& network, WeightVariant variant) {
  const std::string folder = network + "/";
  std::vector<std::string> there;
  for (const HubFile& file : listing.files)
    if (file.path.starts_with(folder)) there.push_back(shown(file.path.substr(folder.size())));
  const std::string named = "the variant " + std::string(name_of(variant).name) + " of the weights";
  const std::string wanted = variant == WeightVariant::kAuto   ? "weights"
                             : variant == WeightVariant::kNone ? "the full weights (variant none)"
                                                               : named;
  return "its " + network + " has not " + wanted + " as safetensors, which alone are fetched (it has " +
         some_of(there) + ")";
}

// Of the forms that are there the one to take: one that was downloaded before, fp16, the full one.
void choose_weights(ModelFiles& files, const HubListing& listing, const std::string& model, const std::string& network,
                    WeightVariant variant, const std::function<bool(const HubFile&)>& is_here) {
  struct Candidate {
    const HubFile* file;
    WeightForm form;
    bool here;
  };
  std::vector<Candidate> candidates;
  for (const WeightForm& form : weight_forms())
    if (const HubFile* file = listing.find(network + "/" + form.file); file && is_wanted(form, variant))
      candidates.push_back({file, form, is_here(*file)});
  INKSTONE_CHECK(!candidates.empty(), model, ": ", why_no_weights(listing, network, variant));
  std::ranges::stable_sort(candidates, [](const Candidate& a, const Candidate& b) {
    return a.here != b.here ? a.here : !a.here && a.form.variant == "fp16" && b.form.variant != "fp16";
  });
  const Candidate& chosen = candidates.front();
  if (!chosen.form.index) {
    files.weights.push_back(chosen.file);
    return;
  }
  add_small(files, *chosen.file, model);
  files.shard_indexes.push_back(chosen.file);
}

}  // namespace

std::optional<WeightVariant> weight_variant(std::string_view name) {
  const auto* found = std::ranges::find(kVariants, name, &VariantName::name);
  return found == std::end(kVariants) ? std::optional<WeightVariant>() : found->variant;
}

const HubFile& model_index_of(const HubListing& listing, const std::string& model) {
  const HubFile* index = listing.find(kModelIndex);
  INKSTONE_CHECK(index, model, " is no model in diffusers' layout: it has no ", kModelIndex, " (it has ",
                 some_of(top_names(listing)), ")");
  check_small(*index, model);
  return *index;
}

ModelFiles choose_files(const HubListing& listing, const std::string& model, WeightVariant variant,
                        const std::function<bool(const HubFile&)>& is_here) {
  ModelFiles files;
  for (const char* path : kWantedAlways) {
    const HubFile* file = listing.find(path);
    INKSTONE_CHECK(file, model, " has no ", path, " (it has ", some_of(top_names(listing)), ")");
    add_small(files, *file, model);
  }
  if (const HubFile* file = listing.find(kGeneration)) add_small(files, *file, model);
  // SDXL has two text encoders, its refiner the second alone.
  for (const auto& [encoder, tokenizer] : kTextEncoders) {
    const std::string path = std::string(encoder) + "/config.json";
    const HubFile* file = listing.find(path);
    const bool first = &encoder == &kTextEncoders[0].first;
    INKSTONE_CHECK(file || !first || listing.find(kSecondConfig), model, " has no ", path, " (it has ",
                   some_of(top_names(listing)), ")");
    if (!file) continue;
    add_small(files, *file, model);
    add_tokenizer(files, listing, model, tokenizer);
    choose_weights(files, listing, model, encoder, variant, is_here);
  }
  for (const char* network : kNetworks) choose_weights(files, listing, model, network, variant, is_here);
  return files;
}

void add_shards(ModelFiles& files, const HubListing& listing, const HubFile& index,
                const std::set<std::string>& names) {
  const std::string folder = index.path.substr(0, index.path.rfind('/') + 1);
  for (const std::string& name : names) {
    const HubFile* file = listing.find(folder + name);
    INKSTONE_CHECK(file, index.path, " names the shard ", name, ", which the repository does not have");
    files.weights.push_back(file);
  }
}

}  // namespace inkstone
