// What the server can do: the fields that its own description has of POST /generate. What it lacks is not shown.
import { ask } from "./server.js";

let fields = new Set();

export const can = (field) => fields.has(field);

export async function learnAbilities() {
  const description = await (await ask("GET", "/openapi.json")).json();
  const content = description.paths["/generate"].post.requestBody.content;
  fields = new Set(Object.keys(content["application/json"].schema.properties));
  for (const part of document.querySelectorAll("[data-needs]")) {
    const here = can(part.dataset.needs);
    part.classList.toggle("absent", !here);
    for (const field of part.querySelectorAll("input, select")) if (field.closest("[data-needs]") === part) field.disabled = !here;
    if (part.tagName === "FIELDSET" && !part.hidden) part.disabled = !here;
  }
}
