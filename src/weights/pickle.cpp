#include "weights/pickle.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

using Kind = PickleValue::Kind;
using Index = PickleValue::Index;

// The largest checkpoints that people have, with the optimizer's state, take a tenth of each.
constexpr size_t kMaxPickleBytes = size_t{16} << 20, kMaxPickleValues = 1'000'000;

// The instructions, by their names in pickletools.
enum Instruction : uint8_t {
  kMark = '(',
  kStop = '.',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kBinFloat = 'G',
  kNoneValue = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kAppend = 'a',
  kBuild = 'b',
  kGlobalName = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kEmptySet = 0x8f,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95
};

class PickleReader {
 public:
  PickleReader(std::span<const std::byte> bytes, const std::string& source)
      : text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()), source_(source) {}

  Pickle read() {
    check(text_.size() <= kMaxPickleBytes, "it has more than 16 MiB");
    while (true) {
      start_ = at_;
      const auto instruction = static_cast<uint8_t>(take(1)[0]);
      if (instruction == kStop) break;
      const bool known = scalar(instruction) || container(instruction) || memo(instruction) || call(instruction);
      if (!known) refuse_instruction(instruction);
    }
    pickle_.root = pop();
    return std::move(pickle_);
  }

 private:
  static constexpr Index kNowhere = UINT32_MAX;  // a place of the memo that holds nothing

  void check(bool holds, const char* what) const {
    INKSTONE_CHECK(holds, source_, ": its pickle is not as PyTorch writes it (at byte ", start_, ": ", what,
                   "): convert the file to safetensors where it came from");
  }
  [[noreturn]] void refuse_instruction(uint8_t instruction) const {
    fail(INKSTONE_HERE, {source_, ": its pickle has the instruction ", int{instruction}, " at byte ", start_,
                         ", which PyTorch does not write: convert the file to safetensors where it came from"});
  }

  std::string_view take(uint64_t bytes) {
    check(bytes <= text_.size() - at_, "it ends inside a value");
    const std::string_view taken = text_.substr(at_, bytes);
    at_ += bytes;
    return taken;
  }
  // little-endian, as the format has all numbers but floats
  uint64_t take_number(size_t bytes) {
    const std::string_view taken = take(bytes);
    uint64_t number = 0;
    for (size_t i = bytes; i-- > 0;) number = number << 8 | static_cast<uint8_t>(taken[i]);
    return number;
  }
  std::string_view take_line() {
    const size_t end = text_.find('\n', at_);
    check(end != std::string_view::npos, "a name has no end");
    const std::string_view line = take(end - at_);
    take(1);
    return line;
  }

  void push_index(Index index) {
    check(stack_.size() < kMaxPickleValues, "more than a million values on its stack");
    stack_.push_back(index);
  }
  PickleValue& push(Kind kind) {
    check(pickle_.values.size() < kMaxPickleValues, "more than a million values");
    push_index(static_cast<Index>(pickle_.values.size()));
    pickle_.values.emplace_back().kind = kind;
    return pickle_.values.back();
  }
  bool push_integer(int64_t integer) {
    push(Kind::kInteger).integer = integer;
    return true;
  }
  bool push_text(Kind kind, std::string_view text) {
    push(kind).text = text;
    return true;
  }
  // What lies below the last mark belongs to who set it.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Index pop() {
    check(stack_.size() > floor(), "a value too few on its stack");
    const Index index = stack_.back();
    stack_.pop_back();
    return index;
  }
  PickleValue& top() {
    check(stack_.size() > floor(), "a value too few on its stack");
    return pickle_.values[stack_.back()];
  }
  // What was pushed after the last mark; the mark is gone.
  std::vector<Index> pop_to_mark() {
    check(!marks_.empty(), "there is no mark");
    const auto begin = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
    std::vector<Index> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  bool scalar(uint8_t instruction) {
    switch (instruction) {
      case kNoneValue: push(Kind::kNone); return true;
      case kNewTrue: return push_integer(1);
      case kNewFalse: return push_integer(0);
      case kBinInt: return push_integer(static_cast<int32_t>(take_number(4)));
      case kBinInt1: return push_integer(static_cast<int64_t>(take_number(1)));
      case kBinInt2: return push_integer(static_cast<int64_t>(take_number(2)));
      case kLong1: return long_integer(take(take_number(1)));
      case kBinFloat: return push_text(Kind::kOther, take(8));
      case kShortBinString:
      case kShortBinUnicode: return push_text(Kind::kText, take(take_number(1)));
      case kBinUnicode: return push_text(Kind::kText, take(take_number(4)));
      case kShortBinBytes: return push_text(Kind::kOther, take(take_number(1)));
      case kBinBytes: return push_text(Kind::kOther, take(take_number(4)));
      default: return false;
    }
  }
  // Two's complement of any length.
  bool long_integer(std::string_view digits) {
    if (digits.size() > sizeof(int64_t)) return push_text(Kind::kOther, digits);
    uint64_t number = !digits.empty() && (digits.back() & 0x80) ? ~uint64_t{0} : 0;
    for (size_t i = digits.size(); i-- > 0;) number = number << 8 | static_cast<uint8_t>(digits[i]);
    return push_integer(static_cast<int64_t>(number));
  }

  bool container(uint8_t instruction) {
    switch (instruction) {
      case kMark:
        check(marks_.size() < kMaxPickleValues, "more than a million marks");
        marks_.push_back(stack_.size());
        return true;
      case kEmptyTuple: push(Kind::kTuple); return true;
      case kEmptyList: push(Kind::kList); return true;
      case kEmptyDict: push(Kind::kDict); return true;
      case kEmptySet: push(Kind::kOther); return true;
      case kTuple: return tuple(pop_to_mark());
      case kTuple1:
      case kTuple2:
      case kTuple3: {
        std::vector<Index> items(size_t{instruction} - kTuple1 + 1);
        for (size_t i = items.size(); i-- > 0;) items[i] = pop();
        return tuple(std::move(items));
      }
      case kAppend: return extend({pop()}, Kind::kList);
      case kAppends: return extend(pop_to_mark(), Kind::kList);
      case kSetItem: {
        const Index value = pop(), key = pop();
        return extend({key, value}, Kind::kDict);
      }
      case kSetItems: {
        const std::vector<Index> items = pop_to_mark();
        check(items.size() % 2 == 0, "a key without a value");
        return extend(items, Kind::kDict);
      }
      default: return false;
    }
  }
  bool tuple(std::vector<Index> items) {
    push(Kind::kTuple).items = std::move(items);
    return true;
  }
  // An object is filled as the container that it may be; of one that is filled as a list nothing is
  // kept.
  bool extend(const std::vector<Index>& items, Kind kind) {
    PickleValue& to = top();
    check(to.kind == kind || to.kind == Kind::kObject, "what it fills is no container");
    if (to.kind == kind || kind == Kind::kDict) to.items.insert(to.items.end(), items.begin(), items.end());
    return true;
  }

  bool memo(uint8_t instruction) {
    switch (instruction) {
      case kBinPut: return remember(take_number(1));
      case kLongBinPut: return remember(take_number(4));
      case kMemoize: return remember(memo_.size());
      case kBinGet: return recall(take_number(1));
      case kLongBinGet: return recall(take_number(4));
      default: return false;
    }
  }
  bool remember(uint64_t place) {
    check(place < kMaxPickleValues, "more than a million remembered values");
    top();
    if (place >= memo_.size()) memo_.resize(place + 1, kNowhere);
    memo_[place] = stack_.back();
    return true;
  }
  bool recall(uint64_t place) {
    check(place < memo_.size() && memo_[place] != kNowhere, "it recalls a value that it has not remembered");
    push_index(memo_[place]);
    return true;
  }

  bool call(uint8_t instruction) {
    switch (instruction) {
      case kProto: check(take_number(1) <= 5, "its protocol is not 5 or less"); return true;
      case kFrame: check(take_number(8) <= text_.size() - at_, "a frame runs past its end"); return true;
      case kGlobalName: {
        const std::string_view module = take_line();
        return global(module, take_line());
      }
      case kStackGlobal: {
        const Index name = pop(), module = pop();
        const PickleValue &first = pickle_[module], &second = pickle_[name];
        check(first.kind == Kind::kText && second.kind == Kind::kText, "a name that is no text");
        return global(first.text, second.text);
      }
      case kBinPersId: {
        const Index argument = pop();
        push(Kind::kPersistent).argument = argument;
        return true;
      }
      case kReduce:
      case kNewObj: {
        const Index argument = pop(), callable = pop();
        PickleValue& object = push(Kind::kObject);
        object.callable = callable;
        object.argument = argument;
        return true;
      }
      case kBuild: {
        const Index state = pop();
        top().state = state;
        return true;
      }
      default: return false;
    }
  }
  bool global(std::string_view module, std::string_view name) {
    PickleValue& value = push(Kind::kGlobal);
    value.module = module;
    value.text = name;
    return true;
  }

  std::string_view text_;
  const std::string& source_;
  size_t at_ = 0, start_ = 0;  // the next byte; where the instruction stands
  Pickle pickle_;
  std::vector<Index> stack_, memo_;
  std::vector<size_t> marks_;  // how large the stack was
};

}  // namespace

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& source) {
  return PickleReader(bytes, source).read();
}

}  // namespace inkstone
