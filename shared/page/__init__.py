"""The status page as HTML: templates, style and a small script; everything that it shows is given to it."""
