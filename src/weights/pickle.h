// Python's pickles as inert data. A pickle is a program for a machine with a stack; this machine
// knows the instructions that torch.save writes (protocol 2, and what protocol 4 has instead) and
// builds values of them. It imports nothing and calls nothing: where Python would call a function,
// there is a value that says which one, with its arguments. So reading is safe, and what a value
// means is for the reader to say. The format: Python's Lib/pickletools.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kInteger,  // also True and False
    kText,
    kTuple,
    kList,
    kDict,
    kGlobal,      // a name: a class or function
    kPersistent,  // what the writer keeps outside of the pickle: `argument` says what
    kObject,      // what `callable` would make of `argument`
    kOther        // a float, bytes, a set, an integer of more than 64 bits
  };
  using Index = uint32_t;  // into Pickle::values

  Kind kind = Kind::kNone;
  int64_t integer = 0;
  // A global has its module, too. Texts lie in the pickle, and may be anything.
  std::string_view text, module;
  Index callable = 0, argument = 0;
  std::optional<Index> state;  // of an object: what would set its attributes
  // Of tuples and lists; of dicts and objects keys and values by turns.
  std::vector<Index> items;
};

// Values may stand in several places, and may hold themselves.
struct Pickle {
  std::vector<PickleValue> values;
  PickleValue::Index root = 0;

  const PickleValue& operator[](PickleValue::Index index) const { return values[index]; }
};

// At most 16 MiB, a million values, a stack of a million and as many remembered values. Throws
// Error naming `source`, the byte and what is wrong there.
Pickle read_pickle(std::span<const std::byte> bytes, const std::string& source);

}  // namespace inkstone
