// Elements are made with text, never with HTML: what a model or a file says is shown as it is.

export const $ = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export const percent = (share) => `${(100 * share).toFixed(1)} %`;

export function showError(error) {
  $("alert").hidden = !error;
  $("alert").textContent = error ? error.message : "";
  if (error && error.status === 401) {
    $("token-form").hidden = false;
    $("token").focus();
  }
}
