// Fills the list of versions in the header with those that lie beside this one.
// The list is a script and not JSON, because a page that is opened from disk may not fetch a file.
document.addEventListener("DOMContentLoaded", () => {
  const root = document.documentElement.dataset.content_root;
  const lists = document.querySelectorAll("select.zoo-versions");
  window.showVersions = (versions) => {
    for (const list of lists) {
      const here = list.value;
      list.replaceChildren(...versions.map((name) => new Option(name, name, name === here, name === here)));
      list.addEventListener("change", () => {
        window.location.href = `${root}../${list.value}/index.html`;
      });
    }
  };
  const script = document.createElement("script");
  script.src = `${root}../versions.js`;
  document.head.append(script);
});
