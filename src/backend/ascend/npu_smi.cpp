// Forms: 910B and A3 have columns Memory-Usage and HBM-Usage, and the memory of models is the HBM;
// 310P has Memory-Usage alone and a column Device (A3: Phy-ID) behind Chip. Two rows make a chip; a
// card of two chips repeats both:
//   | 0       310P3     | OK              | 15.8         42                0    / 0              |
//   | 0       0         | 0000:82:00.0    | 0            1074 / 21534                            |
#include "backend/ascend/npu_smi.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "backend/ascend/dcmi.h"
#include "backend/ascend/program_output.h"
#include "base/environment.h"

namespace inkstone {
namespace {

constexpr size_t kMaxChips = 256, kMaxProcesses = 4096;
constexpr const char* kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// "| a | b |" -> a, b
std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  for (size_t begin = 1, bar; (bar = line.find('|', begin)) != line.npos; begin = bar + 1)
    cells.push_back(trimmed(line.substr(begin, bar - begin)));
  return cells;
}

// Words, of which "/" is one wherever it stands: "61811/ 65536" has three.
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '/') {
      words.push_back(text.substr(at++, 1));
    } else if (std::string_view(kBlank).find(text[at]) != std::string_view::npos) {
      ++at;
    } else {
      const size_t end = std::min(text.find_first_of(" \t\r/", at), text.size());
      words.push_back(text.substr(at, end - at));
      at = end;
    }
  }
  return words;
}

template <typename T>
std::optional<T> number(std::string_view word, T min, T max) {
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || !(value >= min && value <= max)) return {};
  return value;
}

std::optional<uint64_t> mebibytes(std::string_view word) {
  const auto value = number<uint64_t>(word, 0, uint64_t{1} << 32);
  return value ? std::optional(*value << 20) : std::nullopt;
}

std::string health_of(std::string_view cell) {
  std::string word = plain_text(cell);
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
  if (word == "ok") return "OK";
  return word == "warning" || word == "alarm" || word == "critical" ? word : "unknown";
}

bool is_bus_id(std::string_view cell) {
  return cell == "NA" || cell == "-" ||
         (cell.find(':') != cell.npos && cell.find_first_not_of("0123456789abcdefABCDEF:.") == cell.npos);
}

class Reader {
 public:
  NpuSmiReport report;

  void line(std::string_view text) {
    text = trimmed(text);
    if (!text.starts_with('|')) return;
    if (const std::vector<std::string_view> cells = cells_of(text); !cells.empty()) row(cells);
  }

 private:
  void row(const std::vector<std::string_view>& cells) {
    const std::vector<std::string_view> first = words_of(cells[0]);
    if (first.empty()) return;
    if (first[0] == "npu-smi") return read_version(cells[0]);
    if (first[0] == "NPU" || first[0] == "Chip") return read_header(cells);
    if (processes_) return read_process(cells, first);
    if (cells.size() < 3) return;
    const bool second = pending_ && is_bus_id(cells[1]);
    if (!second) return read_name_row(cells, first);
    if (report.chips.size() < kMaxChips) read_chip_row(cells, first);
  }

  void read_version(std::string_view cell) {
    const std::vector<std::string_view> words = words_of(cell);
    if (words.size() > 1) report.version = plain_text(words[1]);
  }

  void read_header(const std::vector<std::string_view>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].starts_with("Process id") && !processes_) {
        processes_ = true;
        id_cell_ = i;
      }
      if (cells[i].starts_with("Process name")) name_cell_ = i;
      if (cells[i].starts_with("Process memory")) memory_cell_ = i;
    }
  }

  // NPU and name | health | power, temperature, huge pages
  void read_name_row(const std::vector<std::string_view>& cells, const std::vector<std::string_view>& first) {
    pending_.reset();
    const auto card = number(first[0], 0, 1 << 16);
    if (!card || first.size() < 2) return;
    NpuChip& chip = pending_.emplace();
    chip.card = *card;
    chip.name = plain_text(cells[0].substr(static_cast<size_t>(first[1].data() - cells[0].data())));
    chip.soc = soc_of(chip.name);
    chip.health = health_of(cells[1]);
    const std::vector<std::string_view> words = words_of(cells[2]);
    if (!words.empty()) chip.power_w = number(words[0], 0.1, 1e4);
    if (words.size() > 1) chip.temperature_c = number(words[1], -60.0, 200.0);
  }

  // chip and device | bus | AI core, memory used / total, HBM used / total
  void read_chip_row(const std::vector<std::string_view>& cells, const std::vector<std::string_view>& first) {
    const auto id = number(first[0], 0, 1 << 16);
    if (!id) return;
    NpuChip& chip = report.chips.emplace_back(*pending_);
    // of a second chip that follows without a name row, these are not known
    pending_->power_w.reset();
    pending_->temperature_c.reset();
    chip.chip = *id;
    chip.index = static_cast<int>(report.chips.size()) - 1;
    if (cells[1].find(':') != cells[1].npos) chip.bus_id = plain_text(cells[1]);
    const std::vector<std::string_view> words = words_of(cells[2]);
    if (!words.empty()) chip.ai_core_percent = number(words[0], 0.0, 100.0);
    for (size_t i = 1; i + 1 < words.size(); ++i) {
      if (words[i] != "/") continue;
      const auto used = mebibytes(words[i - 1]), total = mebibytes(words[i + 1]);
      // "0 / 0": this chip has no such memory
      if (!total || *total == 0) continue;
      chip.memory_total = total;
      chip.memory_used = used && *used <= *total ? used : std::nullopt;
    }
  }

  void read_process(const std::vector<std::string_view>& cells, const std::vector<std::string_view>& first) {
    if (processes_read_ == kMaxProcesses || first.size() < 2 || cells.size() <= id_cell_) return;
    const auto card = number(first[0], 0, 1 << 16), chip = number(first[1], 0, 1 << 16);
    const auto id = number<int64_t>(cells[id_cell_], 0, INT64_MAX);
    if (!card || !chip || !id) return;
    for (NpuChip& one : report.chips) {
      if (one.card != *card || one.chip != *chip) continue;
      ++processes_read_;
      NpuProcess& process = one.processes.emplace_back();
      process.id = *id;
      if (name_cell_ && name_cell_ < cells.size()) process.name = plain_text(cells[name_cell_]);
      if (memory_cell_ && memory_cell_ < cells.size()) process.memory = mebibytes(cells[memory_cell_]);
      return;
    }
  }

  // a name row whose chip row is to come
  std::optional<NpuChip> pending_;
  bool processes_ = false;
  size_t id_cell_ = 0, name_cell_ = 0, memory_cell_ = 0, processes_read_ = 0;
};

std::optional<int> error_in(std::string_view text) {
  constexpr std::string_view kMark = "ret is -8";
  const size_t at = text.find(kMark);
  if (at == text.npos) return {};
  const size_t begin = at + kMark.size() - 2, end = std::min(text.find_first_not_of("-0123456789", begin), text.size());
  return number(text.substr(begin, end - begin), -8999, -8000);
}

}  // namespace

NpuSmiReport parse_npu_smi(std::string_view text) {
  Reader reader;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    reader.line(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (reader.report.chips.empty()) reader.report.error = error_in(text);
  return std::move(reader.report);
}

NpuSmiRun run_npu_smi() {
  NpuSmiRun result;
  std::vector<std::string> places{"/usr/local/bin/npu-smi", "/usr/local/sbin/npu-smi", "/usr/bin/npu-smi",
                                  "/usr/sbin/npu-smi"};
  if (const auto stated = environment(Variable::kNpuSmi)) places = {*stated};
  for (const std::string& place : places)
    if (result.program.empty() && access(place.c_str(), X_OK) == 0) result.program = place;
  if (result.program.empty()) return result;

  constexpr int kMaxMilliseconds = 5000;
  constexpr size_t kMaxBytes = size_t{1} << 20;
  const ProgramOutput output = program_output({result.program, "info"}, kMaxMilliseconds, kMaxBytes);
  result.absence.way_out = "run npu-smi info and look at dmesg";
  if (!output.problem.empty()) {
    result.absence.because = result.program + " info " + output.problem;
    return result;
  }
  NpuSmiReport report = parse_npu_smi(output.text);
  if (report.error) {
    result.absence = {"npu-smi says that DCMI failed: " + dcmi_error_text(*report.error), dcmi_way_out(*report.error)};
  } else if (report.chips.empty()) {
    result.absence.because = result.program + " info shows no chip in a form that we know (exit code " +
                             std::to_string(output.exit_code) + ")";
  } else {
    result.report = std::move(report);
  }
  return result;
}

}  // namespace inkstone
