// The programs of a pipeline's stages, compiled on first use by the current plan. Requests cannot
// make it grow without bound: of steps and decoders, those used longest ago are dropped.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "diffusion/bound_program.h"
#include "diffusion/memory_plan.h"
#include "diffusion/pipeline.h"
#include "diffusion/stages.h"

namespace inkstone {

// The VAE's encoder or decoder for images of one size.
struct VaeShape {
  bool encodes = false;
  int width = 0, height = 0;  // pixels
  auto operator<=>(const VaeShape&) const = default;
};

// methods: 28 allowed: programs of each kind of stage are looked for, made and dropped here
class ProgramCache {
 public:
  ProgramCache(const Pipeline& pipeline, Backend& backend) : pipeline_(pipeline), backend_(backend) {}

  const EnginePlan& plan() const { return plan_; }
  // Drops programs that the new plan would make differently. Returns whether it dropped any.
  bool replace_plan(EnginePlan next);

  // Whether components take turns and one of them packs so much that its programs are made only
  // when its turn comes.
  bool packs_in_turn() const;

  const std::vector<PipelineStage>& before_steps();  // in the plan's precision
  BoundProgram& before_steps(const std::string& stage);
  // The same of a text encoder in another form. It replaces the one that had another.
  BoundProgram& text_encoder(const TextEncoder& encoder, const TextForm& form);
  BoundProgram& step(const StageShape& shape);  // throws the backend's error if none
  // For as many of the jobs as a program exists for; if there is none, for more.
  BoundProgram& step_for(const StageShape& shape);
  BoundProgram& vae(const VaeShape& shape);
  // What a control of the pipeline's makes of a picture.
  struct HintShape {
    int control = 0, width = 0, height = 0;  // pixels
    auto operator<=>(const HintShape&) const = default;
  };
  BoundProgram& hint(const HintShape& shape);
  BoundProgram* preview_decoder(int width, int height);  // null if there is no program
  bool has_before_steps(const std::string& stage) const { return before_.contains(stage); }
  bool has_step(const StageShape& shape) const { return steps_.contains(shape); }
  bool has_vae(const VaeShape& shape) const { return vaes_.contains(shape); }

  // Runs a stage before the steps and returns its outputs. First it gives back the VAE's pages
  // and the work memory (make_room_before_steps); afterwards it gives back the pages of the model's files that the stage
  // read.
  std::vector<Tensor> run_before_steps(BoundProgram& program);
  void make_room_before_steps();
  // The same for what runs without a program of this cache.
  void begin_turn(const std::string& component);
  // A program of several jobs has its own copy of their inputs. Only one such program keeps these
  // copies at a time.
  void claim_shared_inputs(const StageShape& shape);
  // To be called after a step of `tried` jobs found no memory (0: the first one that could not be
  // made). From now on no step has so many jobs. Returns false if it was for one job.
  bool retry_with_fewer(StageShape shape, int tried);

  void leave_memory();  // drops all programs, and the pages of the model's files that they read

  size_t size() const { return steps_.size() + vaes_.size() + previews_.size(); }

 private:
  struct Entry {
    std::unique_ptr<BoundProgram> program;
    uint64_t used = 0;  // time of last use, by clock_
  };
  BoundProgram* find_step(const StageShape& shape);  // null if there is no program
  std::unique_ptr<BoundProgram> build(const PipelineStage& stage, int jobs = 1) const;
  CompileOptions compile_options(const PipelineStage& stage) const;
  void mark_absent(const StageShape& shape);
  // when components take turns; those of its turn stay
  void evict_all_but(const std::string& component);
  BoundProgram& used(Entry& entry);

  const Pipeline& pipeline_;
  Backend& backend_;
  EnginePlan plan_;
  std::string awake_;  // the turn that it is
  std::vector<PipelineStage> stages_before_;
  std::map<std::string, std::unique_ptr<BoundProgram>> before_;  // by stage
  std::map<std::string, TextForm> text_forms_;  // of the text encoders' programs; the usual one where there is none
  std::map<StageShape, Entry> steps_;
  std::map<VaeShape, Entry> vaes_;
  std::map<HintShape, Entry> hints_;
  std::map<std::pair<int, int>, Entry> previews_;  // by width and height
  std::set<StageShape> absent_;                    // steps without a program or memory
  // the step that has claimed shared inputs
  std::unique_ptr<StageShape> shared_inputs_;
  uint64_t clock_ = 0;  // counts uses of programs
};

}  // namespace inkstone
