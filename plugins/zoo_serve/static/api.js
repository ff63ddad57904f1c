// Requests to the API of this server.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function setToken(token) {
  sessionStorage.setItem("token", token);
}

async function send(path, body, signal) {
  const headers = {};
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { headers, signal };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    options.method = "POST";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer.");
  }
  if (!response.ok) {
    let message = `The server answers ${response.status}.`;
    try {
      message = (await response.json()).error.message;
    } catch { /* It is not one of the server's own errors, such as a proxy's. */ }
    throw new ApiError(response.status, message);
  }
  return response;
}

export async function request(path, body, signal) {
  return (await send(path, body, signal)).json();
}

// Calls onText with each piece of text, and returns the data of the event `end`.
export async function stream(path, body, onText, signal) {
  const response = await send(path, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new ApiError(0, "The text broke off.");
    buffer += value;
    const events = buffer.split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const fields = Object.fromEntries(
        event.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)),
      );
      const data = JSON.parse(fields.data);
      if (fields.event === "end") return data;
      onText(data.text);
    }
  }
}
