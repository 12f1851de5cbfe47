// The models and adapters that can be asked for: what lies in the operator's folders, and what
// workers have read of it. Folders are listed again on a thread of their own; all else happens on
// the event thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "adapters/tags.h"
#include "diffusion/model_folder.h"
#include "serve/jobs/served_model.h"
#include "serve/jobs/settings.h"

namespace inkstone::serve {

class ModelList {
 public:
  // Lists the folders. Throws Error where one cannot be read.
  ModelList(boost::asio::io_context& events, const Folders& folders);
  ModelList(const ModelList&) = delete;
  ModelList& operator=(const ModelList&) = delete;
  ~ModelList();

  // By name, but for the default, which comes first when a worker has said which it is.
  const std::vector<ServedModel>& models() const { return models_; }
  const std::vector<AdapterName>& adapters() const { return adapters_; }
  const ServedModel* standard() const { return has_default_ ? &models_.front() : nullptr; }  // the default
  // Of that name, or the default where it is empty. Null: there is none.
  const ServedModel* find(std::string_view name) const;
  // What an image of it is drawn with. Throws UsageError for an adapter that is not there.
  Variant variant_of(const ServedModel& model, const std::vector<AdapterTag>& adapters) const;

  void greeted(const Hello& hello);
  // The next one that a worker is to read, once; null: there is none.
  const ServedModel* next_unread();
  void described(const ModelFile& file, Described told);
  void hashed(const KnownHash& known);
  // Its worker died of it, or just then: another tries once more.
  void not_described(const ModelFile& file, const std::string& why);

  void rescan(std::function<void()> done);

 private:
  struct Listing {
    ModelListing models;
    std::vector<AdapterName> adapters;
  };
  static Listing listing_of(const Folders& folders);
  void take(Listing listing);
  void scan();
  void say_left_out(const std::string& reason);
  ServedModel* with_file(const ModelFile& file);

  boost::asio::io_context& events_;
  const Folders folders_;
  std::vector<ServedModel> models_;
  std::vector<AdapterName> adapters_;
  bool has_default_ = false, greeted_ = false;
  std::vector<ModelFile> asked_, failed_;              // that a worker was told to read; that one died over
  std::vector<std::string> said_;                      // of the log's lines
  std::vector<std::function<void()>> waiting_, next_;  // for the listing under way, and for one after it
  std::jthread scanning_;
  // What waits in the event loop asks for it.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Of a variant's key: the name of its model.
std::string model_of_variant(const std::string& key);

}  // namespace inkstone::serve
