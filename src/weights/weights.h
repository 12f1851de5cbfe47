// The weights of one component of a model, by name: files of weights, mapped read-only.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/tensor.h"
#include "weights/copied_weight.h"
#include "weights/parsed_tensors.h"
#include "weights/weight_view.h"

namespace inkstone {

struct WeightSpec {  // a weight that a model needs
  // as SD 1.5 publishes it (diffusers; text encoder with "text_model.")
  std::string name;
  Shape shape;
};

struct StoredWeight {
  const WeightView* view;
  std::shared_ptr<const MappedFile> file;  // nullptr: it is in none
};

// methods: 27 allowed: opening, joining, binding, replacing and reading share the tables of names
class Weights {
 public:
  Weights() = default;
  // A component's folder (".../unet"): STEM.safetensors, or shards by STEM.safetensors.index.json, where
  // STEM is "model" or "diffusion_pytorch_model"; else the same of a variant (weight_files.h); if there
  // are none, pytorch_model.bin or diffusion_pytorch_model.bin in the same forms. `variant`: that one
  // alone, "" the full weights. Errors say which files were looked for.
  static Weights open(const std::filesystem::path& folder, const std::optional<std::string>& variant = {});
  static Weights open_files(const std::vector<std::filesystem::path>& files);
  // Tensors of a file that holds other things too: of each the name that a model's spec gives it,
  // and where it lies. Views of an element type that is not read come as `unread`: name, type.
  static Weights of_file(std::shared_ptr<const MappedFile> file,
                         std::vector<std::pair<std::string, WeightView>> tensors,
                         std::vector<std::pair<std::string, std::string>> unread);
  // Takes in what another one has of the component, before both are bound. No name may be in both.
  void join(Weights other);
  // Made in memory, for tests: the tensors are moved in.
  static Weights of(std::vector<std::pair<std::string, Tensor>> tensors);

  // Finds a tensor for each spec, under its own name or one of its other names (names.h). Throws
  // one Error that lists everything missing, misshapen and unused (the first 20 of each, then a
  // count) if anything is missing or misshapen. Unused tensors alone change no image: training
  // leaves some, a CLIP file has its vision half. [out, in, 1, 1] and [out, in] are the same shape.
  // Afterwards find() knows the tensors by the specs' names, with the specs' shapes.
  void bind(std::span<const WeightSpec> specs);
  // Row-major elements of its type; throws if there is no such tensor. What the file holds
  // otherwise, as fp8 or with strides, is copied by the first call, and owned.
  const WeightView& find(const std::string& name) const;
  // The same without a copy: as the file holds it, or the replacement.
  StoredWeight stored(const std::string& name) const;
  // Replaces a tensor, for example by one with a merged LoRA: from now on find() returns this one.
  // Its bytes are owned, in no file. Throws if the name is not bound or the shape is another.
  void replace(const std::string& name, Tensor tensor);
  // Every tensor is again what the files hold, and the bytes of replacements are freed. No program
  // may still read them.
  void restore();
  DType file_type(const std::string& name) const;  // of its elements as the file's are read
  // Of tensors that no file holds as they are read, also of copies that are still to be made; of
  // all such copies before bind(), of those of its tensors afterwards.
  size_t owned_bytes() const;
  size_t made_bytes() const;  // of those, what is in memory already
  bool is_owned(const std::string& name) const;
  std::vector<WeightSpec> specs() const;  // what it is bound to, in the order of the names

  // The values as fp32. Throws Error naming tensor, file and index if one is NaN or infinite.
  Tensor read(const std::string& name) const;
  void check_finite(const std::string& name) const;
  // its pages leave this process's resident memory
  void release(const std::string& name) const;

  std::vector<std::string> names() const;  // as the files write them
  size_t total_bytes() const;              // in the files
  // SHA-256 of every tensor's name, shape, type and first and last numbers: it tells models apart
  // without reading all of them.
  std::string fingerprint() const;
  DType type() const;  // of most of the bytes; after bind(), of those of its tensors

 private:
  static constexpr int kInMemory = -1;
  struct Entry {
    WeightView view;  // as the file holds it, but with the shape that bind() found
    // of files_; kInMemory: it stands for a file's, or for a replacement
    int file;
    // What is read instead of the view, if that is not row-major elements.
    std::shared_ptr<const CopiedWeight> copy = nullptr;
  };
  struct Replacement {
    Tensor tensor;
    Entry entry;
  };
  const Entry& entry(const std::string& name) const;
  std::string source(const Entry& entry) const;  // "FILE: the tensor NAME"
  void add_file(const std::filesystem::path& file);
  void add_view(const std::string& name, WeightView view);  // of the last of files_
  static Weights open_index(const std::filesystem::path& index);

  // the folder or first file, for errors
  std::string source_ = "no weights";
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::vector<Tensor> memory_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t> by_name_;        // as the files write them, or as of_file() was told
  std::map<std::string, size_t> bound_;          // as the specs write them
  std::map<std::string, Replacement> replaced_;  // by the specs' names
  // tensors of other element types, and the type
  std::map<std::string, std::string> unread_;
};

}  // namespace inkstone
