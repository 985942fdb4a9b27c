// Modules of widgets lie beside the book, never on the internet; Sphinx writes the way to the top into every page.
window.requirejs.config({
  baseUrl: (document.documentElement.dataset.content_root || "./") + "_static/vendor/widgets/amd",
  waitSeconds: 60,
});
