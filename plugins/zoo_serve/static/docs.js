// The operations of /openapi.json, each with an example to copy.

import { request } from "./api.js";
import { $, element, showError } from "./dom.js";

const resolve = (schema, document_) =>
  schema?.$ref ? document_.components.schemas[schema.$ref.split("/").pop()] : schema ?? {};

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  return schema.type ?? "any";
}

function fields(schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const default_ = field.default === undefined || field.default === null
      ? "" : `default ${JSON.stringify(field.default)}`;
    return element("tr", {}, element("th", { scope: "row" }, element("code", {}, name)),
      element("td", {}, typeOf(field)), element("td", {}, default_),
      element("td", {}, field.description ?? ""));
  });
  const heads = ["key", "type", "", "what"].map((head) => element("th", { scope: "col" }, head));
  return element("div", { class: "scroll", tabindex: "0" }, element("table", {},
    element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)));
}

function operation(path, method, what, document_) {
  const panel = element("section", { class: "panel" },
    element("h2", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path)),
    element("p", {}, what.description ?? what.summary));
  const address = decodeURI(new URL(path.slice(1), location.href).href).replace("{name}", "NAME");
  const body = resolve(what.requestBody?.content["application/json"].schema, document_);
  const example = body.examples?.[0];
  const data = example
    ? ` \\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(example)}'` : "";
  panel.append(element("pre", { tabindex: "0" }, element("code", {}, `curl ${address}${data}`)));
  if (body.properties) panel.append(element("h3", {}, "Request"), fields(body));
  const answer = resolve(what.responses["200"].content?.["application/json"]?.schema, document_);
  if (answer.properties) panel.append(element("h3", {}, "Response"), fields(answer));
  return panel;
}

try {
  const document_ = await request("openapi.json");
  $("description").textContent = document_.info.description;
  const errors = new Map();
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, what] of Object.entries(methods)) {
      $("operations").append(operation(path, method, what, document_));
      for (const [status, { description }] of Object.entries(what.responses)) {
        if (status !== "200") errors.set(status, description);
      }
    }
  }
  $("errors").replaceChildren(...[...errors].sort().flatMap(
    ([status, text]) => [element("dt", {}, status), element("dd", {}, text)]));
  $("errors-panel").hidden = false;
} catch (error) {
  showError(error);
}
