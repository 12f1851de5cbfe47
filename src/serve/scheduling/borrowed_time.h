// How much of the time goes to jobs that go before their rank: those with a deadline at risk, and
// those that make their first step. Each kind keeps within its share.
#pragma once

#include "serve/scheduling/queue_view.h"
#include "serve/scheduling/time_share.h"

namespace inkstone::serve {

class BorrowedTime {
 public:
  // The parts of a step that belong to jobs which went before their rank.
  struct Parts {
    double deadlines = 0, first_steps = 0;
  };

  BorrowedTime(double deadline_share, double first_step_share)
      : deadline_share_(deadline_share), first_step_share_(first_step_share) {}
  Urgency allowed() const { return {deadline_share_.may(), first_step_share_.may()}; }
  // For a deadline another model is brought in, and the first one back.
  void switched(double seconds) { deadline_share_.took(seconds); }
  void begin_step(Parts borrowed) { borrowed_ = borrowed; }
  void stepped(double seconds) {
    deadline_share_.took(seconds * borrowed_.deadlines);
    deadline_share_.others_took(seconds * (1 - borrowed_.deadlines));
    first_step_share_.took(seconds * borrowed_.first_steps);
    first_step_share_.others_took(seconds * (1 - borrowed_.first_steps));
  }

 private:
  TimeShare deadline_share_, first_step_share_;
  Parts borrowed_;
};

}  // namespace inkstone::serve
