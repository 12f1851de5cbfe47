// A program with the tensors that it reads and writes, bound by name.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace inkstone {

class BoundProgram {
 public:
  // Of `jobs` jobs: each brings its rows of every input. `backend` outlives it.
  BoundProgram(Backend& backend, std::unique_ptr<Program> program, const Graph& graph, std::string component,
               int jobs = 1);

  Program& program() { return *program_; }
  const std::string& component() const { return component_; }
  int jobs() const { return jobs_; }
  bool reads(const std::string& input) const { return slots_.contains(input); }

  // Each run needs every input bound anew: a tensor of an earlier run is never read by mistake.
  Tensor& host_input(const std::string& input);               // for the host to fill
  void lend(const std::string& input, const Tensor& tensor);  // read whole, as it is, by the next run
  // One job's rows: the last ones that the input has for a job. Where the tensor has more, the first are of the
  // unconditional half, which is not asked for. The only job lends a tensor that is read whole for the next run.
  void bind(const std::string& input, const Tensor& rows, size_t job);
  void drop_inputs();  // their memory; the next run fills them anew

  // Into outputs that it keeps: the first one is for the host, what else it gives is for the next program.
  void run();
  const Tensor& output(size_t i) const { return outputs_[i]; }
  void take_rows(size_t output, Tensor& rows, size_t job) const;  // a job's rows of an output
  std::vector<Tensor> run_for_new_outputs();                      // on the device

 private:
  void run_into(std::span<Tensor* const> outputs);
  size_t slot(const std::string& input) const;

  Backend& backend_;
  std::string component_;
  int jobs_;
  std::vector<NamedShape> shapes_;   // of the inputs
  std::vector<NamedShape> results_;  // of the outputs
  std::map<std::string, size_t> slots_;
  std::vector<Tensor> inputs_, outputs_;
  std::vector<const Tensor*> in_;
  std::vector<Tensor*> out_;
  std::unique_ptr<Program> program_;
};

}  // namespace inkstone
