// A page opened from a file may not read its neighbors, where the lines around a search result come from: leave them out.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
