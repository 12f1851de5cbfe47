// A point of a curve: how long a step takes, by the rows of its batch.
#pragma once

namespace inkstone::serve {

struct BatchTime {
  int batch_rows;
  double seconds;
};

}  // namespace inkstone::serve
