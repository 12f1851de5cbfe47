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

size_t pixel_bytes(int width, int height) {
  size_t bytes = 0;
  INKSTONE_CHECK(width > 0 && height > 0 && width <= kMaxImageSide && height <= kMaxImageSide &&
                     !__builtin_mul_overflow(static_cast<size_t>(width), static_cast<size_t>(height), &bytes) &&
                     !__builtin_mul_overflow(bytes, size_t{3}, &bytes),
                 "a message: an image of ", width, "x", height, ": sides are 1 to ", kMaxImageSide, " pixels");
  return bytes;
}

template <typename Message>
void send_message(int socket, const Message& message, std::string_view name) {
  std::vector<const Image*> images;
  JsonObject text;
  text[name] = std::visit([&](const auto& m) { return FieldWriter::object_of(m, &images); }, message);
  std::vector<std::span<const uint8_t>> parts;
  for (const Image* image : images) {
    INKSTONE_CHECK(image->rgb.size() == pixel_bytes(image->width, image->height), "a message: an image of ",
                   image->width, "x", image->height, " with ", image->rgb.size(), " bytes");
    parts.emplace_back(image->rgb);
  }
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
                 " bytes of pixels, and at most ", max_pixel_bytes, " were asked for");
  const Json json = parse_json(packet->text, "a message", kMaxOutsideValues);
  INKSTONE_CHECK(json.is_object() && json.get_object().size() == 1 && json.get_object().begin()->value().is_object(),
                 "a message must be an object of one key, its kind, and an object");
  const std::string name(json.get_object().begin()->key());
  const FieldReader::Pixels pixels = [&](int width, int height) {
    const size_t size = pixel_bytes(width, height);
    INKSTONE_CHECK(size <= packet->bytes.left(), "a message: an image of ", width, "x", height, " takes ", size,
                   " bytes, and ", packet->bytes.left(), " came");
    std::vector<uint8_t> rgb(size);
    packet->bytes.read(rgb);
    return rgb;
  };
  const auto read = [&](auto& fields) {
    FieldReader::read_object(json.get_object().begin()->value().get_object(), fields, name, pixels);
  };
  std::optional<Message> message(read_kind<Message>(name, names, read));
  INKSTONE_CHECK(packet->bytes.left() == 0, "a message: ", packet->bytes.left(), " bytes of pixels too many");
  return message;
}

}  // namespace

void send_command(int socket, const WorkerCommand& command) {
  send_message(socket, command, kCommands[command.index()]);
}

void send_report(int socket, const WorkerReport& report) { send_message(socket, report, kReports[report.index()]); }

std::optional<WorkerCommand> receive_command(int socket, bool* closed) {
  return receive_message<WorkerCommand>(socket, closed, kCommands, 0);
}

std::optional<WorkerReport> receive_report(int socket, bool* closed, size_t max_pixel_bytes) {
  return receive_message<WorkerReport>(socket, closed, kReports, max_pixel_bytes);
}

}  // namespace inkstone::serve
