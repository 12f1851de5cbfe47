// A message's text is an object of one key, the kind of the message, with its fields as the value.
#include "serve/wire/wire.h"

#include <array>
#include <boost/json/serialize.hpp>
#include <utility>

#include "base/utf8.h"
#include "serve/wire/message_fields.h"
#include "serve/wire/packet.h"

namespace inkstone::serve {
namespace {

constexpr std::array<std::string_view, std::variant_size_v<WorkerCommand>> kCommands{"start", "step", "finish", "drop",
                                                                                     "describe"};
constexpr std::array<std::string_view, std::variant_size_v<WorkerReport>> kReports{
    "hello", "started", "stepped", "did_not_fit", "finished", "failed", "unusable", "described"};

// Of the files of a request.
constexpr size_t kMaxCommandBytes = size_t{1} << 30;

template <typename Message>
void send_message(int socket, const Message& message, std::string_view name) {
  FieldWriter::Parts parts;
  JsonObject text;
  text[name] = std::visit([&](const auto& m) { return FieldWriter::object_of(m, &parts); }, message);
  send_packet(socket, boost::json::serialize(text), parts.empty() ? Descriptor() : sealed_file(parts));
}

// Every kind of message in turn: the first whose name it is reads the fields.
template <typename Message, size_t I = 0>
Message read_kind(const std::string& name, const auto& names, const auto& read) {
  if constexpr (I == std::variant_size_v<Message>) {
    fail(INKSTONE_HERE, {"a message of the unknown kind \"", shown(name), "\""});
  } else {
    if (name != names[I]) return read_kind<Message, I + 1>(name, names, read);
    std::variant_alternative_t<I, Message> fields;
    read(fields);
    return Message(std::in_place_index<I>, std::move(fields));
  }
}

template <typename Message>
std::optional<Message> receive_message(int socket, bool* closed, const auto& names, size_t max_pixel_bytes) {
  bool gone = false;
  std::optional<Packet> packet = receive_packet(socket, gone);
  if (closed) *closed = gone;
  if (!packet) return {};
  INKSTONE_CHECK(packet->bytes.left() <= max_pixel_bytes, "a message: ", packet->bytes.left(),
                 " bytes beside its text, and at most ", max_pixel_bytes, " were asked for");
  const Json json = parse_json(packet->text, "a message", kMaxOutsideValues);
  INKSTONE_CHECK(json.is_object() && json.get_object().size() == 1 && json.get_object().begin()->value().is_object(),
                 "a message must be an object of one key, its kind, and an object");
  const std::string name(json.get_object().begin()->key());
  const FieldReader::Beside beside = [&](size_t size) {
    INKSTONE_CHECK(size <= packet->bytes.left(), "a message: ", size, " bytes beside its text are said, and ",
                   packet->bytes.left(), " came");
    std::vector<uint8_t> bytes(size);
    packet->bytes.read(bytes);
    return bytes;
  };
  const auto read = [&](auto& fields) {
    FieldReader::read_object(json.get_object().begin()->value().get_object(), fields, name, beside);
  };
  std::optional<Message> message(read_kind<Message>(name, names, read));
  INKSTONE_CHECK(packet->bytes.left() == 0, "a message: ", packet->bytes.left(), " bytes beside its text too many");
  return message;
}

}  // namespace

size_t pixel_bytes(int width, int height) {
  size_t bytes = 0;
  INKSTONE_CHECK(width > 0 && height > 0 && width <= kMaxImageSide && height <= kMaxImageSide &&
                     !__builtin_mul_overflow(static_cast<size_t>(width), static_cast<size_t>(height), &bytes) &&
                     !__builtin_mul_overflow(bytes, size_t{3}, &bytes),
                 "a message: an image of ", width, "x", height, ": sides are 1 to ", kMaxImageSide, " pixels");
  return bytes;
}

void send_command(int socket, const WorkerCommand& command) {
  send_message(socket, command, kCommands[command.index()]);
}

void send_report(int socket, const WorkerReport& report) { send_message(socket, report, kReports[report.index()]); }

std::optional<WorkerCommand> receive_command(int socket, bool* closed) {
  return receive_message<WorkerCommand>(socket, closed, kCommands, kMaxCommandBytes);
}

std::optional<WorkerReport> receive_report(int socket, bool* closed, size_t max_pixel_bytes) {
  return receive_message<WorkerReport>(socket, closed, kReports, max_pixel_bytes);
}

}  // namespace inkstone::serve
