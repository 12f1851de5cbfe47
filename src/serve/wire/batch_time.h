// A point of the curve that a worker measures: how long a step takes, by the rows of its batch.
#pragma once

namespace inkstone::serve {

struct BatchTime {
  int batch_rows;
  double seconds;
};

}  // namespace inkstone::serve
