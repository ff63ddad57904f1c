// Tables as text: reading those that people have, and writing one that every program reads.

// Returns the rows of a text with a delimiter between fields, which may be quoted (RFC 4180).
export function parse(text, delimiter) {
  const rows = [];
  let row = [];
  let field = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') field += text[++i];
      else quoted = false;
    } else if (c === '"' && !field) {
      quoted = true;
    } else if (c === delimiter) {
      row.push(field);
      field = "";
    } else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[i + 1] === "\n") i++;
      rows.push([...row, field]);
      row = [];
      field = "";
    } else {
      field += c;
    }
  }
  if (field || row.length) rows.push([...row, field]);
  return rows.filter((fields) => fields.some((each) => each.trim()));
}

// Returns the delimiter of a table by its name and first line; none for plain texts.
export function delimiterOf(name, text) {
  const line = text.slice(0, text.search(/[\r\n]|$/));
  if (/\.tsv$/i.test(name)) return "\t";
  if (!/\.csv$/i.test(name)) return line.includes("\t") ? "\t" : "";
  const counts = [",", ";", "\t"].map((each) => [line.split(each).length, each]);
  return counts.sort((a, b) => b[0] - a[0])[0][1];
}

export function write(rows) {
  const quote = (value) => {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(quote).join(",")}\r\n`).join("");
}
