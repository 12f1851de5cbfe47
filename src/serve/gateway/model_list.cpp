#include "serve/gateway/model_list.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/utf8.h"
#include "serve/support/log.h"

namespace inkstone::serve {

ModelList::ModelList(boost::asio::io_context& events, const Folders& folders) : events_(events), folders_(folders) {
  take(listing_of(folders));
}

ModelList::~ModelList() { alive_.reset(); }

ModelList::Listing ModelList::listing_of(const Folders& folders) {
  Listing listing;
  if (!folders.models.empty()) listing.models = models_in(folders.models);
  if (!folders.refiner.empty()) {
    const std::string path = folders.refiner.string();
    const auto listed = std::ranges::find_if(listing.models.models, [&](const ListedModel& model) {
      std::error_code ignored;
      return std::filesystem::equivalent(model.path, folders.refiner, ignored);
    });
    if (listed != listing.models.models.end()) listing.models.models.erase(listed);
    listing.models.models.insert(listing.models.models.begin(), {model_name(path), path, files_state(path)});
  }
  if (!folders.adapters.empty()) listing.adapters = adapters_in(folders.adapters);
  return listing;
}

const ServedModel* ModelList::find(std::string_view name) const {
  if (name.empty()) return standard();
  const auto found = std::ranges::find(models_, name, &ServedModel::name);
  return found == models_.end() ? nullptr : &*found;
}

ServedModel* ModelList::with_file(const ModelFile& file) {
  const auto found = std::ranges::find(models_, file, &ServedModel::file);
  return found == models_.end() ? nullptr : &*found;
}

Variant ModelList::variant_of(const ServedModel& model, const std::vector<AdapterTag>& adapters) const {
  Variant variant;
  variant.model = model.file;
  std::string text = model.name, rest = model.file.path + model.file.state;
  for (const AdapterTag& tag : adapters) {
    const AdapterName& found = find_adapter(adapters_, tag.name, "the server's folder of adapters");
    variant.adapters.push_back({found.path.string(), sha256(found.state), tag.text, tag.unet});
    text += " " + tag_text(tag);
    rest += found.state;
  }
  variant.key = text + "\n" + model.name + "\n" + sha256(rest);
  return variant;
}

// The model that a worker begins with is the default. It is one of the folder's, or stands for the
// one of its name there.
void ModelList::greeted(const Hello& hello) {
  const bool listed = !hello.model_file.path.empty();
  greeted_ = true;
  // A worker that began with another one brings in the default when it is asked for.
  if (has_default_ && listed && models_.front().file.path != hello.model_file.path) return;
  auto found = std::ranges::find_if(models_, [&](const ServedModel& model) {
    return listed ? model.file.path == hello.model_file.path : model.name == hello.model.name;
  });
  if (has_default_ && !listed && models_.front().file.path.empty()) found = models_.begin();
  if (found == models_.end()) found = models_.insert(models_.begin(), ServedModel{});
  found->name = hello.model.name;
  found->file = hello.model_file;
  found->card = hello.model;
  found->times = hello.times;
  found->fault.clear();
  std::rotate(models_.begin(), found, found + 1);
  has_default_ = true;
}

const ServedModel* ModelList::next_unread() {
  for (const ServedModel& model : models_) {
    if (model.card || !model.fault.empty() || std::ranges::count(asked_, model.file) > 0) continue;
    asked_.push_back(model.file);
    return &model;
  }
  return nullptr;
}

void ModelList::described(const ModelFile& file, Described told) {
  ServedModel* model = with_file(file);
  if (!model || model->card) return;  // it has gone meanwhile
  if (told.card) {
    told.card->name = model->name;
    model->card = std::move(told.card);
    model->times = std::move(told.times);
    if (greeted_ && !has_default_ && !model->card->traits.refiner) {  // the one that was it has gone
      const auto first = models_.begin() + (model - models_.data());
      std::rotate(models_.begin(), first, first + 1);
      has_default_ = true;
    }
    return;
  }
  model->fault = told.fault.empty() ? "it cannot be read" : std::move(told.fault);
  say_left_out(model->fault);
}

void ModelList::hashed(const KnownHash& known) {
  const bool is_hash = known.hash.size() == 64 && known.hash.find_first_not_of("0123456789abcdef") == known.hash.npos;
  for (ServedModel& model : models_)
    if (is_hash && model.card && model.file.path + "\n" + model.file.state == known.path) model.card->hash = known.hash;
}

void ModelList::not_described(const ModelFile& file, const std::string& why) {
  if (std::ranges::count(failed_, file) > 0) return described(file, {{}, {}, file.path + ": " + why});
  failed_.push_back(file);
  std::erase(asked_, file);
}

void ModelList::say_left_out(const std::string& reason) {
  if (std::ranges::count(said_, reason) > 0) return;
  said_.push_back(reason);
  log_line(LogLevel::kWarning, "model_left_out", {{"reason", reason}});
}

void ModelList::rescan(std::function<void()> done) {
  const bool under_way = !waiting_.empty();
  (under_way ? next_ : waiting_).push_back(std::move(done));
  if (!under_way) scan();
}

void ModelList::scan() {
  scanning_ = std::jthread([this, folders = folders_, there = std::weak_ptr(alive_)] {
    auto listing = std::make_shared<Listing>();
    std::string fault;
    try {
      *listing = listing_of(folders);
    } catch (const std::exception& error) {
      fault = error.what();
    }
    boost::asio::post(events_, [this, there, listing, fault] {
      if (there.expired()) return;
      if (fault.empty())
        take(std::move(*listing));
      else
        log_line(LogLevel::kError, "folder_not_listed", {{"reason", fault}});
      const auto told = std::exchange(waiting_, std::exchange(next_, {}));
      if (!waiting_.empty()) scan();
      for (const std::function<void()>& done : told) try {
          done();
        } catch (const std::exception& error) {  // of one who asked
          log_line(LogLevel::kError, "handler", {{"reason", error.what()}});
        }
    });
  });
}

// What is known of a file stays as long as the file is the same. What could not be read is read again.
void ModelList::take(Listing listing) {
  adapters_ = std::move(listing.adapters);
  for (const std::string& reason : listing.models.left_out) say_left_out(reason);
  std::vector<ServedModel> models;
  const std::string standard = has_default_ ? models_.front().name : "";
  if (has_default_ && models_.front().file.path.empty()) models.push_back(models_.front());
  for (const ListedModel& found : listing.models.models) {
    const std::string name = clean_utf8(found.name);
    if (std::ranges::find(models, name, &ServedModel::name) != models.end()) continue;
    const ModelFile file{found.path.string(), found.state};
    const ServedModel* known = with_file(file);
    models.push_back(known && known->card ? *known : ServedModel{name, file, {}, {}, {}});
  }
  asked_.clear();
  failed_.clear();
  models_ = std::move(models);
  if (!has_default_) return;
  auto first = std::ranges::find(models_, standard, &ServedModel::name);
  if (first == models_.end())
    first = std::ranges::find_if(
        models_, [](const ServedModel& model) { return model.card.has_value() && !model.card->traits.refiner; });
  has_default_ = first != models_.end();
  if (has_default_) std::rotate(models_.begin(), first, first + 1);
}

std::string model_of_variant(const std::string& key) {
  const size_t begin = key.find('\n') + 1;
  return key.substr(begin, key.find('\n', begin) - begin);
}

}  // namespace inkstone::serve
