// Stands in for the theme's script of this name, which redraws every icon as SVG: 1.5 MB on every page, and it breaks
// the buttons of widgets by replacing their icons. The theme's style sheet draws the same icons from its own font.
