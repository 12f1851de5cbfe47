// The programs of a pipeline's stages, compiled on first use by the plan in force. What clients choose cannot make it
// grow: of steps and decoders those used longest ago are dropped.
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

namespace inkstone {

class ProgramCache {
 public:
  ProgramCache(const Pipeline& pipeline, Backend& backend) : pipeline_(pipeline), backend_(backend) {}

  const EnginePlan& plan() const { return plan_; }
  // Programs that another plan made otherwise are dropped; true where they were.
  bool replace_plan(EnginePlan next);

  // Components take turns, and some pack so much that their programs are made when their turn comes, not ahead.
  bool packs_in_turn() const;

  const std::vector<PipelineStage>& before_steps();  // in the plan's precision
  BoundProgram& before_steps(const std::string& stage);
  BoundProgram& step(const StageShape& shape);      // throws what the backend says where there is none
  BoundProgram& step_for(const StageShape& shape);  // for as many of its jobs as there is one for, else for more
  BoundProgram& decoder(int width, int height);
  bool has_before_steps(const std::string& stage) const { return before_.contains(stage); }
  bool has_step(const StageShape& shape) const { return steps_.contains(shape); }
  bool has_decoder(int width, int height) const { return decoders_.contains({width, height}); }

  // What a stage before the steps gives. Meanwhile nobody needs the decoders' pages or the work memory, and what it reads
  // of the model's files does not stay.
  std::vector<Tensor> run_before_steps(BoundProgram& program);
  // Inputs that several jobs share are copies: only one program of several jobs has them at a time.
  void claim_shared_inputs(const StageShape& shape);
  // After a step of `tried` jobs, or the first that could not be made (0), found no memory: there is none for so many from
  // now on. False where it was for one.
  bool retry_with_fewer(StageShape shape, int tried);

  size_t size() const { return steps_.size() + decoders_.size(); }

 private:
  struct Entry {
    std::unique_ptr<BoundProgram> program;
    uint64_t used = 0;  // when it was last asked for
  };
  BoundProgram* find_step(const StageShape& shape);  // null where there is no program for it
  std::unique_ptr<BoundProgram> build(const PipelineStage& stage, int jobs = 1) const;
  CompileOptions compile_options(const PipelineStage& stage) const;
  void mark_absent(const StageShape& shape);
  void evict_all_but(const std::string& component);  // when components take turns
  BoundProgram& used(Entry& entry);

  const Pipeline& pipeline_;
  Backend& backend_;
  EnginePlan plan_;
  std::string awake_;  // the component whose turn it is
  std::vector<PipelineStage> stages_before_;
  std::map<std::string, std::unique_ptr<BoundProgram>> before_;  // by stage
  std::map<StageShape, Entry> steps_;
  std::map<std::pair<int, int>, Entry> decoders_;  // by width and height
  std::set<StageShape> absent_;                    // steps that there is no program for, or no memory
  std::unique_ptr<StageShape> shared_inputs_;      // the step of several jobs whose inputs are there
  uint64_t clock_ = 0;                             // counts what is asked of programs
};

}  // namespace inkstone
