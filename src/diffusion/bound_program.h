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
  // A program for `jobs` jobs; each job has its rows of every input. `backend` outlives it.
  BoundProgram(Backend& backend, std::unique_ptr<Program> program, const Graph& graph, std::string component,
               int jobs = 1);

  Program& program() { return *program_; }
  const std::string& component() const { return component_; }
  int jobs() const { return jobs_; }
  bool reads(const std::string& input) const { return slots_.contains(input); }

  // Every input must be bound again before each run, so that no run reads a tensor of an earlier
  // one by mistake.
  Tensor& host_input(const std::string& input);  // for the host to fill
  // the next run reads it in place
  void lend(const std::string& input, const Tensor& tensor);
  // Binds one job's rows. If `rows` has more rows than the input takes for a job, the last ones are
  // used: the first belong to the unconditional half, which this evaluation does not run. A lone
  // job's tensor of the right size is lent instead of copied.
  void bind(const std::string& input, const Tensor& rows, size_t job);
  // The same of rows that stand for the last ones that the input takes for a job; the first are zeros.
  void bind_last(const std::string& input, const Tensor& rows, size_t job);
  // frees their memory; the next run fills them again
  void drop_inputs();

  // Runs into outputs that it keeps. The first is for the host, the others are for the next
  // program.
  void run();
  const Tensor& output(size_t i) const { return outputs_[i]; }
  void take_rows(size_t output, Tensor& rows, size_t job) const;  // a job's rows of an output
  std::vector<Tensor> run_for_new_outputs();                      // they stay on the device
  void run_to(std::vector<Tensor>& outputs);  // the same; those that have its outputs' shapes are written over

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
