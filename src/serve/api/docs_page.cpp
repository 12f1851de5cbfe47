#include "serve/api/docs_page.h"

#include <string_view>

#include "base/json.h"
#include "base/spelling.h"
#include "serve/api/openapi.h"

namespace inkstone::serve {
namespace {

constexpr struct {
  std::string_view tag, title;
} kSections[] = {{"generate", "Images"},           {"jobs", "Jobs"},
                 {"server", "The server"},         {"openai", "OpenAI's Images API"},
                 {"a1111", "AUTOMATIC1111's API"}, {"oip", "Open Inference Protocol"}};

std::string in_html(std::string_view text) {
  std::string html;
  for (const char c : text) {
    if (c == '<') html += "&lt;";
    if (c == '>') html += "&gt;";
    if (c == '&') html += "&amp;";
    if (c == '"') html += "&quot;";
    if (std::string_view("<>&\"").find(c) == std::string_view::npos) html += c;
  }
  return html;
}

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return result;
}

std::string field_row(std::string_view name, const JsonObject& schema) {
  const Json* examples = schema.if_contains("examples");
  return "<tr><td><code>" + in_html(name) + "</code></td><td>" + in_html(schema.at("type").as_string()) + "</td><td>" +
         in_html(schema.at("description").as_string()) + "</td><td><code>" +
         (examples ? in_html(json_text(examples->as_array().at(0))) : "") + "</code></td></tr>\n";
}

// The fields of its JSON body; "" where it takes none.
std::string fields_table(const JsonObject& operation) {
  const Json* body = operation.if_contains("requestBody");
  if (!body) return "";
  std::string rows;
  const Json& schema = body->at("content").at("application/json").at("schema");
  for (const auto& [name, field] : schema.at("properties").as_object()) rows += field_row(name, field.as_object());
  const bool in_query = operation.contains("parameters");
  return "<details><summary>Fields of the JSON body" + std::string(in_query ? ", or of the query" : "") +
         "</summary>\n<table><thead><tr><th>field</th><th>type</th><th>meaning</th><th>example</th></tr></thead>"
         "<tbody>\n" +
         rows + "</tbody></table></details>\n";
}

std::string section(std::string_view tag, std::string_view title, const JsonObject& paths) {
  std::string html = "<section>\n<h2>" + in_html(title) + "</h2>\n";
  for (const auto& [path, methods] : paths) {
    for (const auto& [method, about] : methods.as_object()) {
      const JsonObject& operation = about.as_object();
      if (std::string_view(operation.at("tags").at(0).as_string()) != tag) continue;
      html += "<article>\n<h3><code><b>" + upper(method) + "</b> " + in_html(path) + "</code></h3>\n<p>" +
              in_html(operation.at("summary").as_string()) + "</p>\n" + fields_table(operation) + "</article>\n";
    }
  }
  return html + "</section>\n";
}

std::string page() {
  const JsonObject document = openapi_json();
  const JsonObject& info = document.at("info").as_object();
  const std::string title = in_html(info.at("title").as_string());
  std::string html =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
      title +
      ": the API</title>\n<link rel=\"icon\" href=\"icon.svg\">\n<link rel=\"stylesheet\" href=\"docs.css\">\n"
      "</head>\n<body>\n<header>\n<h1>" +
      title + " " + in_html(info.at("version").as_string()) + "</h1>\n<p>" +
      in_html(info.at("description").as_string()) +
      " An error says what is wrong, with the field, its value and what is allowed, in the shape of the API that was "
      "called. For programs: <a href=\"openapi.json\">openapi.json</a>.</p>\n</header>\n<main>\n";
  for (const auto& [tag, name] : kSections) html += section(tag, name, document.at("paths").as_object());
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace

const std::string& docs_page() {
  static const std::string html = page();
  return html;
}

}  // namespace inkstone::serve
