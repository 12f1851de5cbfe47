// How a batcher shares a device among jobs. Times are seconds; shares are fractions of the device's
// time.
#pragma once

namespace inkstone::serve {

enum class Batching {
  // One job at a time, in order of arrival.
  kOff,
  // A batch is filled when it starts; nothing joins until it has ended.
  kStatic,
  // Jobs join and leave at every step.
  kStep
};

struct BatcherSettings {
  Batching batching = Batching::kStep;
  int max_jobs = 256, max_rows = 512;  // admitted and not ended
  double max_wait = 600;               // seconds that others' work may stand before an order
  // Seconds by which a priority class is ahead of the one below it.
  double head_start = 120;
  double encode_share = 0.25;  // of the time, while steps wait
  double decode_share = 0.5;
  // Of the time, that deadlines at risk may borrow from jobs of lower rank.
  double deadline_share = 0.75;
  double first_step_share = 0.4;  // the same for first steps
  // A deadline is kept if this times the predicted seconds suffice.
  double deadline_margin = 1.1;
  // Seconds that a model runs, if it has so much to do, for each second that bringing it in takes.
  double turn_per_switch = 8;
  // A new job's first step goes before others' later steps, unless its priority is low.
  bool first_step_first = true;
};

}  // namespace inkstone::serve
