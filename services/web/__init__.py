"""Pages for people: templates, static files, and what fills them. No text is in the code or the templates."""
