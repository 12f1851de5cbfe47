#include "serve/model_card.h"

#include "serve/message_fields.h"

namespace inkstone {

JsonObject to_json(const ModelCard& card) { return FieldWriter::object_of(card); }

ModelCard model_card_of(const JsonObject& object) {
  ModelCard card;
  FieldReader::read_object(object, card, "a model's card");
  return card;
}

}  // namespace inkstone
