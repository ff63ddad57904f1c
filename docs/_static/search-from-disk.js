// Search results show excerpts, which are fetched. A page that is opened from disk may not fetch.
if (window.location.protocol === "file:") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
