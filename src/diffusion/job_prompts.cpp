#include "diffusion/job_prompts.h"

#include <algorithm>

#include "base/error.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "diffusion/prompt_chunks.h"
#include "diffusion/request_fields.h"

namespace inkstone {
namespace {

constexpr float kScore = 6.0f, kNegativeScore = 2.5f;  // as diffusers' pipeline of the refiner

class PromptCollector {
 public:
  PromptCollector(const ResolvedRequest& request, const Pipeline& pipeline, int max_chunks)
      : request_(request), pipeline_(pipeline), max_chunks_(max_chunks) {
    made_.of_call.resize(static_cast<size_t>(request.calls()));
  }

  // Adds a row.
  void add(const PromptSchedule& schedule, std::optional<std::string> ImageRequest::*member, bool none) {
    std::vector<size_t> places;
    for (const PromptText& text : schedule.texts) {
      if (!none) measure(text, request_field(member));
      const bool negative = member == &ImageRequest::negative_prompt;
      const float score = !pipeline_.takes_score ? 0 : negative ? kNegativeScore : kScore;
      places.push_back(place_of({none ? PromptText{} : text, request_.clip_skip, none, score}));
    }
    const size_t calls = made_.of_call.size(), steps = schedule.of_step.size();
    for (size_t call = 0; call < calls; ++call) {
      // Some schedulers evaluate the U-Net more often than once in a step.
      const size_t step = std::min(call * steps / calls, steps - 1);
      made_.of_call[call].push_back(places[static_cast<size_t>(schedule.of_step[step])]);
    }
  }

  JobPrompts prompts() && { return std::move(made_); }

 private:
  size_t place_of(EncoderText text) {
    const auto found = std::ranges::find(made_.texts, text);
    if (found != made_.texts.end()) return static_cast<size_t>(found - made_.texts.begin());
    made_.texts.push_back(std::move(text));
    return made_.texts.size() - 1;
  }

  void measure(const PromptText& text, const RequestField& field) {
    std::string cut;
    for (const TextEncoder& encoder : pipeline_.text_encoders) {
      const PromptChunks found = prompt_chunks(text, encoder.reader(), static_cast<size_t>(max_chunks_));
      const int chunks = static_cast<int>(found.chunks.size()), each = pipeline_.tokens() - 2;
      if (chunks > max_chunks_)
        throw RequestError::sentence(field, "",
                                     text_of({field.name, ": more than ", max_chunks_ * each, " tokens (", max_chunks_,
                                              " chunks of ", each, "); a shorter one is taken"}));
      made_.chunks = std::max(made_.chunks, chunks);
      if (cut.empty()) cut = found.cut;
      note_embeddings(found);
    }
    if (cut.empty()) return;
    const bool negative = field.member == RequestMember(&ImageRequest::negative_prompt);
    made_.warnings.push_back(text_of({negative ? "the negative prompt" : "the prompt", " is longer than ",
                                      pipeline_.tokens(), " tokens; this part was cut: \"", cut, "\""}));
  }

  void note_embeddings(const PromptChunks& found) {
    for (const size_t number : found.embeddings) {
      if (std::ranges::find(made_.embeddings, number) != made_.embeddings.end()) continue;
      made_.embeddings.push_back(number);
      const Embedding& one = pipeline_.embeddings[number];
      if (!one.skipped.empty())
        warn(text_of({"the embedding ", shown(one.name), ", which the prompt names, is not used: ", one.skipped}));
    }
    for (const std::string& name : found.unknown) {
      const std::string meant = nearest(name, pipeline_.text_encoders[0].embeddings.names());
      warn(text_of({"embedding:", shown(name), " in the prompt is left out: no embedding has this name",
                    meant.empty() ? "" : "; did you mean " + shown(meant) + "?"}));
    }
  }

  void warn(std::string text) {
    if (std::ranges::find(made_.warnings, text) == made_.warnings.end()) made_.warnings.push_back(std::move(text));
  }

  const ResolvedRequest& request_;
  const Pipeline& pipeline_;
  const int max_chunks_;
  JobPrompts made_;
};

}  // namespace

JobPrompts job_prompts(const ResolvedRequest& request, const Pipeline& pipeline, int max_chunks) {
  PromptCollector collector(request, pipeline, max_chunks);
  const bool none = pipeline.zeros_for_no_negative && request.negative_prompt.empty();
  if (request.guided) collector.add(request.negative_schedule(), &ImageRequest::negative_prompt, none);
  for (const WeightedSchedule& part : request.prompt_schedules())
    collector.add(part.schedule, &ImageRequest::prompt, false);
  return std::move(collector).prompts();
}

}  // namespace inkstone
