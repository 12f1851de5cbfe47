#include "serve/picture_request.h"

#include "serve/message_fields.h"

namespace inkstone {

JsonObject to_json(const PictureRequest& request) { return FieldWriter::object_of(request); }

PictureRequest picture_request_of(const JsonObject& object) {
  PictureRequest request;
  FieldReader::read_object(object, request, "a picture's request");
  return request;
}

}  // namespace inkstone
