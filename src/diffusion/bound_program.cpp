#include "diffusion/bound_program.h"

#include <algorithm>

#include "base/error.h"

namespace inkstone {

BoundProgram::BoundProgram(Backend& backend, std::unique_ptr<Program> program, const Graph& graph,
                           std::string component, int jobs)
    : backend_(backend),
      component_(std::move(component)),
      jobs_(jobs),
      shapes_(inputs_of(graph)),
      inputs_(shapes_.size()),
      in_(shapes_.size()),
      program_(std::move(program)) {
  for (size_t i = 0; i < shapes_.size(); ++i) slots_.emplace(shapes_[i].name, i);
  for (const int id : graph.outputs()) results_.push_back({"", graph.node(id).shape, graph.node(id).type});
}

size_t BoundProgram::slot(const std::string& input) const {
  const auto found = slots_.find(input);
  INKSTONE_CHECK(found != slots_.end(), "a program of ", component_, " has no input \"", input, "\"");
  return found->second;
}

Tensor& BoundProgram::host_input(const std::string& input) {
  const size_t at = slot(input);
  if (!inputs_[at].data()) inputs_[at] = Tensor(shapes_[at].shape, shapes_[at].type);
  in_[at] = &inputs_[at];
  return inputs_[at];
}

void BoundProgram::lend(const std::string& input, const Tensor& tensor) { in_[slot(input)] = &tensor; }

void BoundProgram::bind(const std::string& input, const Tensor& rows, size_t job) {
  const size_t at = slot(input), read = bytes(shapes_[at].shape, shapes_[at].type) / static_cast<size_t>(jobs_);
  INKSTONE_CHECK(read <= rows.bytes(), "a step reads ", read, " bytes of \"", input, "\", and the job has ",
                 rows.bytes());
  if (jobs_ == 1 && read == rows.bytes()) return static_cast<void>(in_[at] = &rows);
  if (!inputs_[at].data()) inputs_[at] = backend_.tensor(shapes_[at].shape, shapes_[at].type);
  in_[at] = &inputs_[at];
  backend_.copy(rows, rows.bytes() - read, inputs_[at], job * read, read);
}

void BoundProgram::bind_last(const std::string& input, const Tensor& rows, size_t job) {
  const size_t at = slot(input), read = bytes(shapes_[at].shape, shapes_[at].type) / static_cast<size_t>(jobs_);
  if (rows.bytes() >= read) return bind(input, rows, job);
  if (!inputs_[at].data()) inputs_[at] = backend_.tensor(shapes_[at].shape, shapes_[at].type);
  in_[at] = &inputs_[at];
  const Tensor zeros({static_cast<int64_t>((read - rows.bytes()) / size_of(rows.type()))}, rows.type());
  backend_.copy(zeros, 0, inputs_[at], job * read, zeros.bytes());
  backend_.copy(rows, 0, inputs_[at], job * read + zeros.bytes(), rows.bytes());
}

void BoundProgram::drop_inputs() {
  for (Tensor& tensor : inputs_) tensor = Tensor();
}

void BoundProgram::run_into(std::span<Tensor* const> outputs) {
  for (size_t i = 0; i < in_.size(); ++i)
    INKSTONE_CHECK(in_[i], "the input \"", shapes_[i].name, "\" of a program of ", component_, " is not bound");
  program_->run(in_, outputs);
  std::ranges::fill(in_, nullptr);
}

void BoundProgram::run() {
  if (outputs_.empty()) {
    for (const NamedShape& result : results_)
      outputs_.push_back(outputs_.empty() ? Tensor(result.shape, result.type)
                                          : backend_.tensor(result.shape, result.type));
    for (Tensor& tensor : outputs_) out_.push_back(&tensor);
  }
  run_into(out_);
}

void BoundProgram::take_rows(size_t output, Tensor& rows, size_t job) const {
  Shape shape = outputs_[output].shape();
  shape[0] /= jobs_;
  if (rows.shape() != shape) rows = backend_.tensor(shape, outputs_[output].type());
  backend_.copy(outputs_[output], job * rows.bytes(), rows, 0, rows.bytes());
}

std::vector<Tensor> BoundProgram::run_for_new_outputs() {
  std::vector<Tensor> made;
  run_to(made);
  return made;
}

void BoundProgram::run_to(std::vector<Tensor>& outputs) {
  outputs.resize(results_.size());
  std::vector<Tensor*> out;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].shape() != results_[i].shape || outputs[i].type() != results_[i].type)
      outputs[i] = backend_.tensor(results_[i].shape, results_[i].type);
    out.push_back(&outputs[i]);
  }
  run_into(out);
}

}  // namespace inkstone
